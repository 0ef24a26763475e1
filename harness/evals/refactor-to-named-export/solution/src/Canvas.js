import { area } from './area.js';

export class Canvas {
  #shapes = [];

  add(shape) {
    this.#shapes.push(shape);
    return this;
  }

  covered() {
    return this.#shapes.reduce((sum, shape) => sum + area(shape), 0);
  }
}
