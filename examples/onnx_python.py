"""Answer a photo with an exported net, without simplecell: python onnx_python.py net.onnx photo.jpg"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

file, photo = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
picture = np.asarray(ImageOps.exif_transpose(Image.open(photo)).convert("RGB"))  # H, W, 3, of any size
(scores,) = session.run(None, {"picture": picture[None]})
for place in scores[0].argsort()[::-1][:5]:
    print(f"{scores[0, place]:.4f}  {classes[place]}")
