# Reads paths of binary PGMs from standard input and prints for each, as one line
# of JSON, what zxing-cpp reads in it (bytes in hex) and the nanoseconds of
# processor time that this took.
import json
import sys
import time

import numpy
import zxingcpp

for path in sys.stdin.read().splitlines():
    with open(path, "rb") as f:
        data = f.read()
    _, size, _, pixels = data.split(b"\n", 3)
    w, h = map(int, size.split())
    img = numpy.frombuffer(pixels, numpy.uint8).reshape(h, w)
    start = time.thread_time_ns()
    found = zxingcpp.read_barcodes(img, formats=zxingcpp.BarcodeFormat.QRCode)
    ns = time.thread_time_ns() - start
    print(json.dumps({"texts": [bytes(r.text, "utf-8", "surrogateescape").hex() for r in found if r.text], "ns": ns}))
