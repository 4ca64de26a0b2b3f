"""The words everybody speaks: frozen dataclasses, importing nothing of ours.

One module for each room: `problem`, `sourced`, `decision`, `machine`, `release`, `finding`,
`wishes`, `plan`, `doors`. msgspec turns them into JSON and back (`vllm_forge.records.codec`).
"""
