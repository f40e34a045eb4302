"""A model on this machine: the only package below `training` that may import torch, transformers and peft."""
