# To be sourced: podman and buildah with a store of their own, and settings that a container on a machine with mixed cgroup
# versions, or without the right to raise limits, needs.
images=${SESIOR_IMAGES:-/var/cache/sesior-images}
mkdir -p "$images"
export CONTAINERS_STORAGE_CONF=$images/storage.conf CONTAINERS_CONF=$images/containers.conf
cat >"$CONTAINERS_STORAGE_CONF" <<EOF
[storage]
driver = "overlay"
graphroot = "$images/root"
runroot = "$images/run"
EOF
cat >"$CONTAINERS_CONF" <<EOF
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
EOF
