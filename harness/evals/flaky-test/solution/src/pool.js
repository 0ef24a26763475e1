/** Runs jobs side by side, at most `width` at a time; gives their results in the order of the jobs. */
export async function run(jobs, width) {
  const results = new Array(jobs.length);
  const waiting = [...jobs.entries()];
  const worker = async () => {
    while (waiting.length > 0) {
      const [index, job] = waiting.shift();
      results[index] = await job();
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
