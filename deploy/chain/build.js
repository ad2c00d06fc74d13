// Compiles Tickets.sol into the JSON that the fleet deploys and speaks: node build.js OUT
//
// Reads sources by their import path only, so that the same bytes come out in every folder. `npm ci` beside this file
// (or NODE_PATH) brings the compiler and the library, both pinned in package-lock.json.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const source = "Tickets.sol";
const input = {
  language: "Solidity",
  sources: { [source]: { content: fs.readFileSync(path.join(__dirname, source), "utf8") } },
  settings: {
    // OpenZeppelin 5.7 copies memory with MCOPY, which came with cancun.
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};

function read(name) {
  return { contents: fs.readFileSync(require.resolve(name), "utf8") };
}

const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
const problems = (output.errors || []).filter((each) => each.severity === "error" || each.severity === "warning");
if (problems.length) {
  problems.forEach((each) => console.error(each.formattedMessage));
  process.exit(1);
}
const built = output.contracts[source].Tickets;
const result = {
  contract: "Tickets",
  compiler: solc.version(),
  openzeppelin: JSON.parse(read("@openzeppelin/contracts/package.json").contents).version,
  evmVersion: input.settings.evmVersion,
  runs: input.settings.optimizer.runs,
  abi: built.abi,
  bytecode: "0x" + built.evm.bytecode.object,
  deployedBytecode: "0x" + built.evm.deployedBytecode.object,
};
fs.writeFileSync(process.argv[2], JSON.stringify(result, null, 1) + "\n");
