"""fledge_export: from a policy file to C, ONNX and the evidence that they compute the same."""
