"""The networks that everybody's steps are timed with: the DCGAN for 64x64 (Radford et al. 2016), 64 to 512 wide.

The preset celeba64 with the options that make it so, whatever else it has become.
"""

from __future__ import annotations

PRESET = "celeba64"
NETWORKS = ("model.name=dcgan", "model.base_channels=64", "model.max_channels=512", "model.dropout=0.2")
STEP = ("train.loss=bce", "train.penalty=none", "train.augment=[]", "train.micro_batch=0")
