"""What a frozen network sees in images: encoders, and the features of whole sets."""

from gendata.features.encoders import Encoder, load_encoder
from gendata.features.extract import EncoderCard, Features, extract_features

__all__ = ["Encoder", "EncoderCard", "Features", "extract_features", "load_encoder"]
