// Notebook: the notes and the accounts of all users, in one JSON file. Just enough for an example: a database's place.
// Threading: none; a change is on disk when the call returns.
'use strict';

const { randomBytes, scrypt, timingSafeEqual } = require('node:crypto');
const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { promisify } = require('node:util');

const COLORS = ['lemon', 'mint', 'sky', 'rose', 'lilac'];
const NAME = /^[\p{L}\p{N} ._-]{1,40}$/u;
const MOST_ACCOUNTS = 1000;
const MOST_NOTES = 200; // of one user
const LONGEST_NOTE = 1000; // characters

const hashOf = (password, salt) => promisify(scrypt)(password, Buffer.from(salt, 'base64'), 32);
const newId = () => randomBytes(9).toString('base64url');

class Notebook {
  #file;
  #accounts = {}; // id -> {id, name, salt, hash}
  #notes = {}; // account id -> [{id, text, color, time}], newest first

  constructor(file) {
    this.#file = file;
    if (existsSync(file)) ({ accounts: this.#accounts, notes: this.#notes } = JSON.parse(readFileSync(file, 'utf8')));
  }

  // The account, or undefined for a wrong password. A name that nobody has yet becomes the caller's.
  async signIn(text, password) {
    const name = text.trim();
    if (!NAME.test(name)) return undefined;
    const found = this.#named(name);
    const salt = found?.salt ?? randomBytes(16).toString('base64');
    const hash = await hashOf(password, salt);
    if (found) return timingSafeEqual(hash, Buffer.from(found.hash, 'base64')) ? found : undefined;
    // Somebody else may have taken it meanwhile.
    if (this.#named(name) || Object.keys(this.#accounts).length >= MOST_ACCOUNTS) return undefined;
    const account = { id: newId(), name, salt, hash: hash.toString('base64') };
    this.#accounts[account.id] = account;
    this.#keep();
    return account;
  }

  account(id) {
    return Object.hasOwn(this.#accounts, id) ? this.#accounts[id] : undefined;
  }

  list(userId) {
    return this.#notes[userId] ?? [];
  }

  // {note}, or {problem} in words.
  add(userId, text, color) {
    const words = typeof text === 'string' ? text.trim() : '';
    if (!words) return { problem: 'A note needs some words.' };
    if (words.length > LONGEST_NOTE) return { problem: `A note has at most ${LONGEST_NOTE} characters.` };
    if (this.list(userId).length >= MOST_NOTES) return { problem: `At most ${MOST_NOTES} notes: throw some away.` };
    const note = { id: newId(), text: words, color, time: Date.now() };
    this.#notes[userId] = [note, ...this.list(userId)];
    this.#keep();
    return { note };
  }

  // False: there was none.
  remove(userId, noteId) {
    const left = this.list(userId).filter(({ id }) => id !== noteId);
    if (left.length === this.list(userId).length) return false;
    this.#notes[userId] = left;
    this.#keep();
    return true;
  }

  #named(name) {
    return Object.values(this.#accounts).find((account) => account.name.toLowerCase() === name.toLowerCase());
  }

  #keep() {
    const next = `${this.#file}.next`;
    writeFileSync(next, JSON.stringify({ accounts: this.#accounts, notes: this.#notes }), { mode: 0o600 });
    renameSync(next, this.#file);
  }
}

module.exports = { COLORS, Notebook };
