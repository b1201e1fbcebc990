/** Sends back what its parent sends, over the channel between processes: so both ends of that can be in one test. */
process.on('message', (message) => {
  process.send?.(message);
});
process.once('disconnect', () => process.exit(0));
