"""A trained net as a file that answers without simplecell: ONNX, whole pictures in, answers out."""
