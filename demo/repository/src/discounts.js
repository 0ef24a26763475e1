/**
 * Volume discount: the more copies, the better the price. Sorted from the largest step down.
 */
const STEPS = [
  { from: 1000, percent: 15 },
  { from: 500, percent: 10 },
  { from: 100, percent: 5 },
];

/** The discount, in percent, on a line of `quantity` copies. */
export function volumeDiscount(quantity) {
  const step = STEPS.find(({ from }) => quantity >= from);
  return step ? step.percent : 0;
}
