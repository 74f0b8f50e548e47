// Asks a question on llama-server's web page and prints what a browser saw, as JSON:
// node page.mjs PLAYWRIGHT BROWSER URL QUESTION
const [playwright, browser, url, question] = process.argv.slice(2);
const { chromium } = await import(playwright);

const instance = await chromium.launch({ executablePath: browser, args: ['--no-sandbox'] });
const page = await instance.newPage();
page.setDefaultTimeout(5 * 60 * 1000); // of a loaded machine
const errors = [];
page.on('pageerror', (error) => errors.push(String(error)));

await page.goto(url);
await page.getByRole('textbox').fill(question);
// Each text of the answer that is not the last one: of all of it, as it may begin with a list or code.
await page.evaluate(() => {
	window.texts = [];
	new MutationObserver(() => {
		const text = document.querySelector('.chat-message-assistant .markdown-content')?.innerText.trim();
		if (text && text !== window.texts.at(-1)) window.texts.push(text);
	}).observe(document.body, { subtree: true, childList: true, characterData: true });
});
await page.keyboard.press('Enter');
const answer = page.getByLabel('Assistant message with actions');
await answer.getByText(/ t\/s$/).waitFor();
await page.getByRole('button', { name: 'Stop', exact: true }).waitFor({ state: 'detached' });

const seen = { texts: await page.evaluate(() => window.texts), text: await answer.innerText() };
seen.tip = '';
const ours = answer.getByText(/ of KV read$/);
if (await ours.isVisible()) {
	await ours.hover();
	seen.tip = await page.locator('[data-slot="tooltip-content"]').innerText();
}
console.log(JSON.stringify({ ...seen, errors }));
await instance.close();
