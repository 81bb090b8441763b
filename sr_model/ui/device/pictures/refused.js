// What cannot be done here, as a key of words/ and what fills its gaps.
export class Refused extends Error {
  constructor(word, values = {}) {
    super(word);
    this.word = word;
    this.values = values;
  }
}
