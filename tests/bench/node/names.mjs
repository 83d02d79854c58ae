// The rules for a user name, shared by REST and socket: 1 to 64 code points after trimming, well-formed, no control
// characters. Returns the trimmed name, or null when it is none.
export function validName(value) {
  if (typeof value !== 'string' || !value.isWellFormed()) return null;
  const name = value.trim();
  const length = [...name].length;
  return length >= 1 && length <= 64 && !/\p{Cc}/u.test(name) ? name : null;
}

export const BAD_NAME = 'userName must be 1 to 64 characters without control characters';
export const NAME_TAKEN = 'User already exists';
