"""The `nano` reader: a small reader of the production architecture, run by onnxruntime."""
