"""C3D: eight 3x3x3 convolutions, five max pools, three fully connected layers.

Paper: D. Tran, L. Bourdev, R. Fergus, L. Torresani, M. Paluri, "Learning Spatiotemporal Features with 3D Convolutional
Networks", ICCV 2015, arXiv:1412.0767.
Code read: facebookarchive/C3D@ef7c013 (C3D-v1.0/examples/c3d_feature_extraction/prototxt/
c3d_sport1m_feature_extractor_frm.prototxt), open-mmlab/mmaction2@34be42e (mmaction/models/backbones/c3d.py),
facebookresearch/VMZ@75c7d98 (c2/lib/models/c3d_model.py).
Departures: none in the layers; initial weights and biases are the prototxt's. Its pool5 takes 2x7x7 to 1x4x4 by
rounding up (Caffe's rule, by memory; the 8192 inputs of fc6 are mmaction2's), where mmaction2 pads both sides instead:
other windows, the same counts.
"""

from torch import Tensor, nn

from repro.models.peers.parts import channels_first, check_size

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))  # channels of the convolutions before each pool


class C3D(nn.Module):
    """C3D. Shape: ``(B, 16, 3, 112, 112)`` float to logits ``(B, classes)``. Raises ValueError for another shape."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        layers, channels_in = [], 3
        for stage, convolutions in enumerate(STAGES):
            for channels in convolutions:
                layers += [nn.Conv3d(channels_in, channels, 3, padding=1), nn.ReLU(inplace=True)]
                channels_in = channels
            kernel = 2 if stage else (1, 2, 2)  # pool1 keeps time
            layers.append(nn.MaxPool3d(kernel, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Linear(channels_in * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        for name, part in self.named_modules():
            if isinstance(part, nn.Conv3d | nn.Linear):
                nn.init.normal_(part.weight, std=0.005 if name in ("fc6", "fc7") else 0.01)
                if part.bias is not None:
                    nn.init.constant_(part.bias, 0 if name in ("features.0", "fc8") else 1)

    def forward(self, clips: Tensor) -> Tensor:
        check_size(clips, frames=16, size=112, because="C3D's first fully connected layer takes 512 maps of 4x4")
        x = self.features(channels_first(clips)).flatten(1)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        return self.fc8(x)
