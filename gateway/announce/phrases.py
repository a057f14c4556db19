"""The words, English and Chinese side by side.

Who hears them may lie on the floor, be afraid, hear badly. So: short sentences, the most important
word early, what to do at the end, and never more than is true: "has arrived" is not "help comes".
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.model import CallState

LANGUAGES = ("zh", "en")


class Phrase(NamedTuple):
    """Something to be said, in each language."""

    en: str
    zh: str
    name: str = ""  # of one that never varies: it may lie on disk as sound

    def text(self, language: str) -> str:
        """In this language."""
        return self.zh if language == "zh" else self.en


_FIXED = (
    # --- a call for help ---
    Phrase(
        "Your call is kept. I am trying to reach help.",
        "呼叫已记下，正在联系人。",
        "call_stored",
    ),
    Phrase(
        "Your call has arrived. I am waiting for an answer.",
        "呼叫已送到，正在等人回应。",
        "call_delivered",
    ),
    Phrase(
        "Somebody has taken your call. Stay where you are, if you can.",
        "已经有人接到呼叫，请安心等一等。",
        "call_accepted",
    ),
    Phrase(
        "Your call has not got through yet. I keep trying. If you can, shout or telephone.",
        "呼叫还没有送出去，我一直在试。可以的话，请大声喊人或打电话。",
        "call_undelivered",
    ),
    Phrase(
        "The network does not answer. A text message is on its way.",
        "网络不通，已经发出求助短信。",
        "call_texted",
    ),
    Phrase(
        "Nobody has answered yet. Your call is going to others, too.",
        "还没有人回应，正在通知更多的人。",
        "call_escalated",
    ),
    Phrase(
        "Your call is closed. Press again if you need help.",
        "这次呼叫已经结束。需要帮助，请再按一次。",
        "call_closed",
    ),
    Phrase(
        "Your call is taken back. Press again if you need help.",
        "呼叫已经取消。需要帮助，请再按一次。",
        "call_cancelled",
    ),
    Phrase(
        "Your earlier call is over. Press again if you need help.",
        "之前的呼叫已经过期。需要帮助，请再按一次。",
        "call_expired",
    ),
    # --- detectors ---
    Phrase(
        "Smoke! Leave the house now, if you can.",
        "有烟雾！能走的话，请马上离开屋子。",
        "alarm_smoke",
    ),
    Phrase(
        "Gas! Make no fire, touch no switch, open a window, leave the house.",
        "燃气泄漏！不要点火，不要碰开关，请开窗，离开屋子。",
        "alarm_gas",
    ),
    Phrase(
        "There is water on the floor. Walk with care.",
        "地上有水，走路小心。",
        "alarm_water",
    ),
    Phrase("A detector raises an alarm.", "报警器响了，请留意。", "alarm"),
    # --- reminders, weather ---
    Phrase("Thank you. I have noted it.", "好的，记下了。", "reminder_taken"),
    Phrase(
        "I do not know what time it is. Until I do, I cannot remind you of anything.",
        "我现在不知道时间，暂时不能提醒您，请您自己留意吃药和日程。",
        "clock_unknown",
    ),
    Phrase("I have no fresh weather report.", "现在没有最新的天气预报。", "weather_none"),
    # --- the installer ---
    Phrase(
        "Test mode. Calls are marked as a test.", "现在是测试模式，呼叫会标为测试。", "test_mode"
    ),
    Phrase(
        "Test mode is over. From now on calls are real.",
        "测试结束，现在起呼叫都是真的。",
        "test_over",
    ),
)
PHRASES = {phrase.name: phrase for phrase in _FIXED}

OF_CALL = {state: PHRASES[f"call_{state.value}"] for state in CallState}
ALARMS = {name: PHRASES[f"alarm_{name}"] for name in ("smoke", "gas", "water")}

_REMINDERS = {
    "medicine": Phrase("It is time for your medicine: {}.", "该吃药了：{}。"),
    "appointment": Phrase("A reminder: {}.", "提醒您：{}。"),
    "alarm": Phrase("It is time: {}.", "时间到了：{}。"),
}
_PRESS = {
    "medicine": Phrase(" Press the button when you have taken it.", "吃好以后，请按一下按键。"),
    "appointment": Phrase(" Press the button when you have heard it.", "听到了，请按一下按键。"),
    "alarm": Phrase(" Press the button when you are awake.", "醒了，请按一下按键。"),
}


def accepted_by(name: str) -> Phrase:
    """A person of this name took the call."""
    return Phrase(
        f"{name} has taken your call. Stay where you are, if you can.",
        f"{name}已经接到呼叫，请安心等一等。",
    )


def alarm(what: str) -> Phrase:
    """A detector of this kind raised an alarm."""
    return ALARMS.get(what, PHRASES["alarm"])


def reminder(kind: str, text: str, *, press: bool) -> Phrase:
    """A reminder.

    Args:
        kind: medicine, appointment or alarm.
        text: what it reminds of.
        press: whether it goes on until the button is pressed.
    """
    lead, tail = _REMINDERS[kind], _PRESS[kind] if press else Phrase("", "")
    bare = text.rstrip(" .。!！")
    return Phrase(lead.en.format(bare) + tail.en, lead.zh.format(bare) + tail.zh)


def weather(text: str) -> Phrase:
    """The weather."""
    return Phrase(f"The weather: {text}", f"天气：{text}")


def notice(text: str) -> Phrase:
    """A notice of the community, or of the family."""
    return Phrase(f"A notice: {text}", f"通知：{text}")
