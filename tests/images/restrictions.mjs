// What a pod of k8s/base is held to, in podman's words; memory as there.
const common = ['--read-only', '--read-only-tmpfs=false', '--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--pids-limit', '200'];

export const RESTRICTIONS = {
  session: [...common, '--memory', '256m'],
  rest: [...common, '--memory', '160m'],
  realtime: [...common, '--memory', '400m'],
};
