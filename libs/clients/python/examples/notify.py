"""A job that tells browsers when it is done. python3 notify.py HOST:PORT[,HOST:PORT] EVENT TEXT [USER_ID...]

Those of these users, on whatever replica, or of everybody. The same job id is the request id: run again within a minute,
after a crash say, it tells nobody twice.
"""

import os
import sys

from sesior import Sesior

addresses, event, text, *user_ids = sys.argv[1:]
with Sesior(addresses, token=os.environ.get("SESIOR_TOKEN")) as sesior:
    number = sesior.emit(event, {"text": text}, user_ids=user_ids, request_id=os.environ.get("JOB_ID"))
    print(f"told as number {number}")
