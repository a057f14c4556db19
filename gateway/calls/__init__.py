"""A call is a conversation: how far it got, and what its person is shown.

    pressed ── on flash ──> STORED ── committed upstream ──> DELIVERED ── taken ──> ACCEPTED
                              │ nobody in `deliver` s           │ nobody in `accept` s: told again,
                              v                                 v `repeats` times
                         UNDELIVERED                        ESCALATED
                              │ a second path took it           │
                              v                                 v
                            TEXTED                       (all of them) closed ──> CLOSED
                                                         cancelled in time    ──> CANCELLED
                                                         after `forget` s     ──> EXPIRED

UNDELIVERED and TEXTED go on to DELIVERED when the uplink is back; nothing is given up. Presses of
one device while its call is not accepted are the same call, told again.

`call.py` is one call, pure; `book.py` what is kept of open calls over a power cut; `desk.py` all of
them, their clocks and their signs; `texts.py` what goes to a second path.
"""
