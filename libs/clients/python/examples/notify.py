"""A job that tells every browser when it is done. python3 notify.py HOST:PORT[,HOST:PORT] EVENT TEXT

The same job id is the request id: run again within a minute, after a crash say, it tells nobody twice.
"""

import os
import sys

from sesior import Sesior

addresses, event, text = sys.argv[1:4]
with Sesior(addresses, token=os.environ.get("SESIOR_TOKEN")) as sesior:
    number = sesior.publish(event, {"text": text}, request_id=os.environ.get("JOB_ID"))
    print(f"told as number {number}")
