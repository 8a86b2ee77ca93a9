"""Stand-ins for the real clips, where those are not at hand: ``python tests/stand_ins.py FOLDER``.

The folder has the layout of the one that REPRO_SHARED_DATA names, with moving test patterns in the datasets' encodings
(ffmpeg makes them). Nothing of a dataset is in it, so tests that need the official lists or the real clips are skipped:
they take the fixture ``shared_data``, those that stand-ins serve as well take ``shared_clips``.
"""

import subprocess
import sys
from pathlib import Path

MARK = "STAND-INS.txt"
H264 = ("-c:v", "libx264", "-g", "25", "-crf", "30")  # as the clips of shared/data/ucf101-3 are
MPEG4 = ("-c:v", "mpeg4", "-q:v", "8")  # as UCF101 distributes its clips
B_FRAMES = (*MPEG4, "-bf", "2")  # as HMDB51 does
CLIPS = {
    "ucf101-3/videos/BabyCrawling/v_BabyCrawling_g01_c01.avi": (H264, 60),
    "ucf101-3/videos/Punch/v_Punch_g01_c01.avi": (H264, 121),
    "ucf101-3/videos/PushUps/v_PushUps_g01_c01.avi": (H264, 41),
    "as-distributed/v_Punch_g01_c01.avi": (MPEG4, 121),
    "as-distributed/Golf_Tips_-_Hit_The_Driver_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi": (B_FRAMES, 90),
    "as-distributed/6arrowswithin30seconds_shoot_bow_f_nm_np1_fr_med_3.avi": (B_FRAMES, 81),
}


def write(folder: Path) -> None:
    """Write all of them; what is there already is written again. Raises CalledProcessError with ffmpeg's words."""
    for name, (encoding, frames) in CLIPS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pattern = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25")
        command = ["ffmpeg", "-y", "-v", "error", *pattern, "-frames:v", str(frames), "-pix_fmt", "yuv420p", *encoding]
        subprocess.run([*command, str(path)], check=True)
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / MARK).write_text("Made by tests/stand_ins.py; nothing here is of a dataset.\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
