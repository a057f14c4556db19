"""The words of which names of entities are made, in English and Chinese.

No English word means that the name itself reads well: `heart_rate` is "Heart rate". Chinese terms
are those of the meters' and bands' own displays and manuals where they have one.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Words(NamedTuple):
    """One name in both languages; English is empty where the name itself reads well."""

    en: str
    zh: str


# What a gateway has, or a device by itself.
OWN = {
    "call": Words("", "呼叫"),
    "calls": Words("", "呼叫事件"),
    "connection": Words("", "连接状态"),
}

_OF_METERS = {
    "actuality_time": Words("", "数据时效"),
    "averaging_time": Words("", "平均周期"),
    "battery_left": Words("", "电池剩余寿命"),
    "battery_low": Words("", "电量不足"),
    "battery_time": Words("", "电池使用时间"),
    "clock": Words("", "设备时钟"),
    "counter_fault": Words("", "计量异常"),
    "cumulations": Words("", "累积次数"),
    "current": Words("", "电流"),
    "date": Words("", "日期"),
    "digital_input": Words("", "数字输入"),
    "digital_output": Words("", "数字输出"),
    "energy": Words("", "能耗"),
    "energy_export": Words("", "反向电能"),
    "energy_import": Words("", "正向电能"),
    "energy_total": Words("", "总电能"),
    "error_flags": Words("", "错误标志"),
    "flow": Words("", "流量"),
    "frequency": Words("", "频率"),
    "heat_cost_units": Words("", "热分配计数"),
    "magnet": Words("", "磁干扰"),
    "mass": Words("", "质量"),
    "mass_flow": Words("", "质量流量"),
    "mode": Words("", "工作模式"),
    "on_time": Words("", "通电时间"),
    "operating_time": Words("", "运行时间"),
    "pipe": Words("", "管道状态"),
    "pipe_empty": Words("", "空管"),
    "power": Words("", "功率"),
    "power_apparent": Words("", "视在功率"),
    "power_factor": Words("", "功率因数"),
    "power_max_cumulated": Words("", "累积最大功率"),
    "power_reactive": Words("", "无功功率"),
    "pressure": Words("", "压力"),
    "resets": Words("", "复位次数"),
    "serial": Words("Serial number", "出厂编号"),
    "status": Words("", "状态码"),
    "temperature": Words("", "温度"),
    "temperature_difference": Words("", "温差"),
    "temperature_external": Words("", "外部温度"),
    "temperature_limit": Words("", "温度上限"),
    "temperature_return": Words("", "回水温度"),
    "valve": Words("", "阀门"),
    "valve_fault": Words("", "阀门故障"),
    "voltage": Words("", "电压"),
    "volume": Words("", "用水量"),
    "volume_day": Words("", "日用水量"),
    "volume_hour": Words("", "小时用水量"),
    "volume_month": Words("", "月用水量"),
    "volume_settled": Words("", "结算日累计用水量"),
}

_OF_BANDS = {
    "battery": Words("", "电量"),
    "body_temperature": Words("", "体温"),
    "cadence": Words("", "步频/踏频"),
    "charging": Words("", "正在充电"),
    "contact": Words("Skin contact", "佩戴状态"),
    "elapsed": Words("Time elapsed", "已用时间"),
    "elevation": Words("", "海拔"),
    "elevation_gain": Words("", "累计爬升"),
    "elevation_loss": Words("", "累计下降"),
    "force": Words("", "受力"),
    "heading": Words("", "行进方向"),
    "heart_rate": Words("", "心率"),
    "incline": Words("", "坡度"),
    "latitude": Words("", "纬度"),
    "longitude": Words("", "经度"),
    "metabolic_equivalent": Words("", "代谢当量"),
    "presence": Words("", "是否在家"),
    "pulse_amplitude": Words("", "脉搏幅度"),
    "pulse_rate": Words("", "脉率"),
    "remaining": Words("Time remaining", "剩余时间"),
    "resistance": Words("", "阻力"),
    "rr_interval": Words("RR interval", "RR 间期"),
    "rssi": Words("RSSI", "信号强度"),
    "speed": Words("", "速度"),
    "spo2": Words("SpO2", "血氧"),
    "steps": Words("", "步数"),
    "stride": Words("Stride length", "步幅"),
    "strides": Words("", "跨步数"),
}

_OF_SENSORS = {
    "acceleration": Words("", "加速度"),
    "battery_charging": Words("", "正在充电"),
    "button": Words("", "按键"),
    "carbon_monoxide": Words("", "一氧化碳"),
    "co2": Words("CO2", "二氧化碳"),
    "cold": Words("", "低温"),
    "conductivity": Words("", "电导率"),
    "connectivity": Words("", "网络连接"),
    "count": Words("", "计数"),
    "detector": Words("", "探测器"),
    "dew_point": Words("", "露点"),
    "dimmer": Words("", "旋钮"),
    "direction": Words("", "方向"),
    "distance": Words("", "距离"),
    "door": Words("", "门"),
    "duration": Words("", "时长"),
    "garage_door": Words("", "车库门"),
    "gas": Words("", "用气量"),
    "gas_detected": Words("", "燃气泄漏"),
    "generic": Words("", "开关状态"),
    "heat": Words("", "高温"),
    "humidity": Words("", "湿度"),
    "illuminance": Words("", "光照度"),
    "input": Words("", "输入"),
    "light": Words("", "有光"),
    "light_level": Words("", "光照等级"),
    "lock": Words("", "门锁"),
    "moisture": Words("", "含水率"),
    "moisture_detected": Words("", "潮湿"),
    "motion": Words("", "有人活动"),
    "moving": Words("", "移动"),
    "occupancy": Words("", "有人"),
    "open": Words("", "开合"),
    "opening": Words("", "开合"),
    "output": Words("", "输出"),
    "plug": Words("", "插头"),
    "pm10": Words("PM10", "PM10"),
    "pm2_5": Words("PM2.5", "PM2.5"),
    "power_on": Words("", "通电"),
    "problem": Words("", "异常"),
    "rotation": Words("", "旋转角度"),
    "running": Words("", "运行"),
    "safety": Words("", "安全"),
    "signal": Words("", "信号强度"),
    "smoke": Words("", "烟雾"),
    "sound": Words("", "声音"),
    "tamper": Words("", "防拆"),
    "tvoc": Words("TVOC", "总挥发性有机物"),
    "uv_index": Words("UV index", "紫外线指数"),
    "vibration": Words("", "振动"),
    "volume_flow": Words("", "流量"),
    "volume_stored": Words("", "储量"),
    "water": Words("", "用水量"),
    "window": Words("", "窗"),
}

_OF_GATEWAY = {
    "backlog_routine": Words("", "待上传常规事件"),
    "backlog_urgent": Words("", "待上传紧急事件"),
}

MEASURED = _OF_METERS | _OF_BANDS | _OF_SENSORS | _OF_GATEWAY

# Where a name alone says too little: with the device class of its entity.
CLASSED = {
    ("battery", "voltage"): Words("Battery voltage", "电池电压"),
    ("energy", ""): Words("", "消耗热量"),  # what a band counts
    ("open", "door"): Words("Door", "门"),
    ("open", "opening"): Words("Opening", "开合"),
    ("open", "window"): Words("Window", "窗"),
    ("volume", "volume"): Words("", "体积"),  # of anything; a water meter's class is water
}

ALARMS = {
    "detector": Words("", "探测器报警"),
    "gas": Words("", "燃气报警"),
    "heat": Words("", "高温报警"),
    "smoke": Words("", "烟雾报警"),
    "water": Words("", "水浸报警"),
}

# As they read after "Fault: "; a measurement that is a fault while it is true has its own words.
FAULTS = {
    "ack_keys": Words("acknowledgement keys", "无法核对确认的签名"),
    "alarm": Words("alarm of the meter", "表计报警"),
    "application_error": Words("", "应用层错误"),
    "clock": Words("", "设备时钟不准"),
    "clock_unknown": Words("", "网关时间未知"),
    "commands": Words("", "无法接收下行命令"),
    "daily_limit": Words("", "当日流量已用完"),
    "encrypted": Words("", "消息已加密而未配置密钥"),
    "flash": Words("", "闪存写入失败"),
    "flood": Words("", "数据过于频繁"),
    "history": Words("", "历史数据读取失败"),
    "identity": Words("", "设备身份已改变"),
    "journal_damaged": Words("", "事件日志损坏"),
    "journal_trouble": Words("", "事件日志打开异常"),
    "key": Words("", "密钥不符"),
    "lost_edges": Words("", "漏检电平变化"),
    "malformed": Words("", "数据格式错误"),
    "metrics": Words("", "监控指标不可用"),
    "number": Words("text message to number", "短信未能送达号码"),
    "overloaded": Words("", "轮询超负荷"),
    "permanent_error": Words("", "永久性错误"),
    "plaintext": Words("", "消息未加密"),
    "refused": Words("", "请求被拒绝"),
    "reminder_events_lost": Words("", "提醒记录丢失"),
    "reminders_lost": Words("", "提醒丢失"),
    "replay": Words("", "重放的消息"),
    "stuck": Words("", "触点卡住"),
    "swapped": Words("", "表计已更换"),
    "temporary_error": Words("", "暂时性错误"),
    "unknown_object": Words("", "未知的数据类型"),
    "unsteady_uplink": Words("", "上行连接不稳定"),
    "untrusted_acknowledgements": Words("", "签名不可信的确认"),
    "valve_fault": Words("valve", "阀门异常"),
    "volume_implausible": Words("", "水表读数不可信"),
    "volume_reset": Words("", "水表读数清零"),
    "volume_rollover": Words("", "水表计满归零"),
    "volume_swapped": Words("", "水表已更换"),
    "wire": Words("", "接线断开"),
    "withheld": Words("", "部分读数未上报"),
}

# What may follow a name, in Chinese: a word goes before it, a number behind it.
BEFORE = {
    "average": "平均",
    "error": "故障期间",
    "fast": "快速",
    "forward": "正向",
    "max": "最大",
    "min": "最小",
    "reverse": "反向",
    "slow": "慢速",
}
BEHIND = (
    (re.compile(r"(\d+)"), r"\1"),
    (re.compile(r"l(\d+)"), r"L\1"),  # a phase of a three-phase meter
    (re.compile(r"u(\d+)"), r"子单元\1"),
    (re.compile(r"t(\d+)"), r"费率\1"),
    (re.compile(r"s(\d+)"), r"存储\1"),
)
