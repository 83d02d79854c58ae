// Debian's Chromium, driven by playwright-core, without anything that would ask the network.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

const artifacts = join(dirname(fileURLToPath(import.meta.url)), '../../artifacts');
mkdirSync(artifacts, { recursive: true });

export function launch() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

// One person's browser, with its own cookies, and the page open in it. Anything the page complains about in its console
// is in `complaints`.
export class Person {
  static async open(browser, url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, locale: 'en-GB', ...options });
    const person = new Person();
    person.context = context;
    person.page = await context.newPage();
    person.complaints = [];
    person.page.on('pageerror', (error) => person.complaints.push(String(error)));
    person.page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) person.complaints.push(message.text());
    });
    await person.page.goto(url);
    return person;
  }

  // One more tab of the same browser.
  async tab(url) {
    const tab = new Person();
    tab.context = this.context;
    tab.page = await this.context.newPage();
    await tab.page.goto(url);
    return tab;
  }

  shot(name, options = {}) {
    return this.page.screenshot({ path: join(artifacts, `${name}.png`), ...options });
  }

  async register(name) {
    await this.page.getByLabel('Your name').fill(name);
    await this.page.keyboard.press('Enter');
    await this.live();
  }

  async rename(name) {
    await this.page.getByLabel('New name').fill(name);
    await this.page.keyboard.press('Enter');
  }

  // Waits until the page is connected to this replica, from 1, or to any.
  live(replica) {
    return this.page.getByText(replica ? `Live on replica ${replica}` : /^Live on replica/).waitFor();
  }

  // Waits until the live feed has this line.
  news(text) {
    return this.page.getByRole('log').getByRole('listitem').filter({ hasText: text }).first().waitFor();
  }

  // Waits until exactly these names are listed as online.
  online(names) {
    const wanted = JSON.stringify(names.toSorted());
    return this.page.waitForFunction(
      (expected) => {
        const shown = [...document.querySelectorAll('#online .name')].map((e) => e.textContent);
        return JSON.stringify(shown.sort()) === expected;
      },
      wanted,
    );
  }

  // What axe finds wrong with the page as it is now, one line a problem.
  async accessibilityProblems() {
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run());
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
  }

  named(name) {
    return this.page.locator('#me-name').getByText(name, { exact: true }).waitFor();
  }

  signedOut() {
    return this.page.getByLabel('Your name').waitFor();
  }
}
