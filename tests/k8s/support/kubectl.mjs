// Prints the path of kubectl, for shell scripts.
import { kubectl } from './render.mjs';

console.log(kubectl());
