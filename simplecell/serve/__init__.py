"""A trained net behind HTTP: pictures in, answers as JSON, and a page for people.

gate.py      what every request passes: who may ask, what is counted, how a refusal reads
predict.py   one request for answers, from its bytes to its JSON
batching.py  pictures of many requests, gathered into batches for one net
house.py     the nets by name, and how a changed file takes the place of the one before
process.py   the process: its socket, its signals, how it stops
server.py    the one function that the command line calls
"""
