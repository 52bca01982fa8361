// A thread for the tests of the worker pool: multiplies numbers by its setup, slowly for small ones.
import { GraftError } from '../../src/base/errors.ts';
import { serve } from '../../src/base/worker-pool.ts';

serve<number, number, number>(async factor => {
  if (factor < 0) throw new GraftError('bad-model', 'a negative factor', 'Give a positive one.');
  return async value => {
    if (value === 13) throw new TypeError('13 is not to be had');
    if (value === 99) process.exit(3);
    await new Promise(resolve => setTimeout(resolve, value === 1 ? 60 : 1));
    return value * factor;
  };
});
