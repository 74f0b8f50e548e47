// vite.config.ts, and a list of the packages that went into the page, for their licences.
import { appendFileSync } from 'node:fs';
import { defineConfig } from 'vite';
import page from './vite.config';

const list = {
	name: 'packages',
	generateBundle(_: unknown, bundle: Record<string, { modules?: object }>) {
		for (const chunk of Object.values(bundle)) {
			for (const file of Object.keys(chunk.modules ?? {})) {
				const found = /^[^/]*(\/.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file);
				if (found) appendFileSync('packages.txt', found[1] + '\n');
			}
		}
	}
};

export default defineConfig(async (env) => {
	const config = await page(env);
	return { ...config, plugins: [...(config.plugins ?? []), list] };
});
