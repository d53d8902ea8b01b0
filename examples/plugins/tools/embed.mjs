// Puts the types of a world into a core module: node embed.mjs WIT-FILE WORLD utf8|utf16 MODULE OUTPUT
//
// `jco embed` would do it, but its command line (1.35) opens no folder to its own reader of WIT. Its library takes text.
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [wit, world, stringEncoding, module, output] = process.argv.slice(2);
const command = process.env.PATH.split(delimiter).map((folder) => join(folder, "jco")).find(existsSync);
const { componentEmbed } = await import(pathToFileURL(join(dirname(realpathSync(command)), "api.js")));
const witSource = readFileSync(wit, "utf8");
const embedded = await componentEmbed({ binary: readFileSync(module), witSource, world, stringEncoding });
writeFileSync(output, embedded);
