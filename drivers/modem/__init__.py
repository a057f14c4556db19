"""A GSM modem on a serial port: text messages when the network does not answer.

`wire/` is what goes over the wire: messages as PDUs (3GPP TS 23.040) in the modem's alphabet
(TS 23.038), and the answers to AT commands (TS 27.007, 27.005). `conversation.py` asks and waits,
`modem.py` says what to ask, `driver.py` when.

Every message goes as PDU, also one that text mode could carry: a text of more than one part and any
Chinese need PDUs, and in text mode the letters depend on a setting of the modem (AT+CSCS) that not
all of them keep.
"""
