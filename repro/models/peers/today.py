"""Three networks of torchvision as they are, behind this project's input order: S3D, MViTv2-S, Video Swin-T.

Papers: S. Xie, C. Sun, J. Huang, Z. Tu, K. Murphy, "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy
Trade-offs in Video Classification", ECCV 2018, arXiv:1712.04851 (S3D); Y. Li, C.-Y. Wu, H. Fan, K. Mangalam, B. Xiong,
J. Malik, C. Feichtenhofer, "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", CVPR
2022, arXiv:2112.01526; Z. Liu, J. Ning, Y. Cao, Y. Wei, Z. Zhang, S. Lin, H. Hu, "Video Swin Transformer", CVPR 2022,
arXiv:2106.13230.
Code: torchvision 0.29 (models/video/s3d.py, mvit.py, swin_transformer.py). Departures: none.
"""

from torchvision.models import video

from repro.models.peers.parts import ChannelsFirst


def s3d(*, classes: int = 400) -> ChannelsFirst:
    """torchvision's S3D, counted on 16 frames of 224x224; a fixed 2x7x7 pool at the end takes no smaller frames.

    Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another number of axes or
    channels, RuntimeError (of torch) for a clip under 13 frames of 209x209.
    """
    return ChannelsFirst(video.s3d(num_classes=classes))


def mvit_v2_s(*, classes: int = 400) -> ChannelsFirst:
    """torchvision's MViTv2-S.

    Shape: ``(B, 16, 3, 224, 224)`` float to logits ``(B, classes)``. Raises ValueError for another shape.
    """
    because = "MViT's position tables are made for one input"
    return ChannelsFirst(video.mvit_v2_s(num_classes=classes), fixed=(16, 224, because))


def swin3d_t(*, classes: int = 400) -> ChannelsFirst:
    """torchvision's Swin3D-T; published on 32 frames of 224x224, runs on any size (windows are padded).

    Shape: ``(B, N, 3, H, W)`` float to logits ``(B, classes)``. Raises ValueError for another shape.
    """
    return ChannelsFirst(video.swin3d_t(num_classes=classes))
