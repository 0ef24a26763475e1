node --input-type=module -e "
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
const { price } = await import(pathToFileURL(process.cwd() + '/src/checkout.js'));
console.log(price(JSON.parse(readFileSync('orders/4711.json', 'utf8'))));
" > answer.txt
