"""The network of the nano reader as plain `transformers` knows it."""

from transformers import Glm4vConfig

from glyph.readers.nano.spec import NanoSpec


def glm4v_config(spec: NanoSpec) -> Glm4vConfig:
    """Return the configuration that plain `transformers` loads."""
    return Glm4vConfig(
        text_config={
            **spec.text,
            "pad_token_id": spec.special("PAD"),
            "bos_token_id": spec.special("BOS"),
            "eos_token_id": spec.special("EOS"),
        },
        vision_config=dict(spec.vision),
        image_token_id=spec.special("IMAGE"),
        image_start_token_id=spec.special("BOI"),
        image_end_token_id=spec.special("EOI"),
        video_token_id=spec.special("VIDEO"),
        video_start_token_id=spec.special("BOV"),
        video_end_token_id=spec.special("EOV"),
        tie_word_embeddings=True,
    )
