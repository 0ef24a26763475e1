/** Runs jobs side by side, at most `width` at a time; gives their results in the order of the jobs. */
export async function run(jobs, width) {
  const results = [];
  const waiting = [...jobs];
  const worker = async () => {
    while (waiting.length > 0) {
      const job = waiting.shift();
      results.push(await job());
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
