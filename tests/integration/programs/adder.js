// Uses adder.c all the while: functions taken from it at the start, a box that was made then, finalisers.
const { which, make, add, freed, instance } = require(process.argv[2]);
const box = make();
const seen = new Set();
let total = 0;
const timer = setInterval(() => {
	for (let i = 0; i < 200; i++) seen.add(which());
	add(box, 1), total++;
}, 1);
require('readline').createInterface({ input: process.stdin }).on('line', () => {
	const before = freed();
	(() => { for (let i = 0; i < 3; i++) make(); })();
	globalThis.gc();
	// finalisers run between two rounds of the event loop
	const wait = () => {
		if (freed() === before) return setTimeout(wait, 1), globalThis.gc();
		total++;
		const found = add(box, 1);
		const lost = total - found % 1000000;
		console.log(`${which()} ${Math.floor(found / 1000000)} ${lost} ${freed() - before} ${Math.floor(instance() / 1000)}`);
	};
	wait();
}).on('close', () => { clearInterval(timer); console.log(`end ${[...seen].sort()}`); });
console.log('ready');
