"""Makes the stubs under src/sesior from /proto, by protoc and gRPC's plugin for Python (Debian: protobuf-compiler,
protobuf-compiler-grpc). They are never committed. In an unpacked source package without /proto they are there already.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO = HERE / "../../../proto"
FILES = ["session/v1/session", "broadcast/v1/broadcast", "presence/v1/presence", "internal/v1/status"]


def main() -> None:
    if not PROTO.is_dir():
        return
    plugin = shutil.which("grpc_python_plugin")
    if plugin is None:
        sys.exit("grpc_python_plugin is missing; on Debian it is in protobuf-compiler-grpc")
    subprocess.run(
        ["protoc", f"-I{PROTO}", f"--plugin=protoc-gen-grpc_python={plugin}", f"--python_out={HERE / 'src'}",
         f"--grpc_python_out={HERE / 'src'}", *(f"sesior/{file}.proto" for file in FILES)],
        check=True,
    )


if __name__ == "__main__":
    main()
