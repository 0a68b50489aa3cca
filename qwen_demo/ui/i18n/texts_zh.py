"""What the page says, in Chinese: the same names as in `texts`."""

TITLE = "Qwen2.5-VL"
PLACEHOLDER = "就图片、视频或文档提问"
CONVERSATION = "对话"
QUESTION = "问题"
EMPTY_QUESTION = "请先输入问题或添加图片。"
LOOKING = "正在看"
STOPPED = "已停止。已经写出的内容会保留；点“重试”可以重新回答。"
UNANSWERED = "这个问题没有得到回答。点击“重试”可再次提问。"
LENGTH = "达到长度上限而结束"
REPETITION = "因陷入循环而结束"

EMBEDDED_ANSWERS = "由内置的小模型作答"
EMBEDDED_ABILITIES = "它认识彩色形状、图标、简短的印刷文字和简单的图表，懂英文和中文；它看不懂照片。"
EMBEDDED_REMEDY = (
    "要用完整模型，请在有 CUDA GPU 的机器上启动本程序（`--model auto` 会选择放得下的最大的 Qwen2.5-VL-Instruct），"
    "或者指定一个：`--model Qwen/Qwen2.5-VL-7B-Instruct`。"
)
MODEL_LOADING = "模型正在加载"
MODEL_UNAVAILABLE = "模型不可用"


def answers(model: str) -> str:
    return f"由 {model} 作答"


def answers_how(numbers: str, device: str, context_tokens: int) -> str:
    return f"{device} 上的 {numbers} · 上下文 {context_tokens} 个 token"


ABOUT_ROWS = {
    "model": "模型",
    "reason": "选择原因",
    "device": "设备",
    "numbers": "数值格式",
    "attention": "注意力实现",
    "engine": "引擎",
    "context": "上下文",
    "image": "图片大小",
}
ABOUT_VALUES = {
    "model": "{model}（版本 {revision}）",
    "numbers": "{dtype}，量化：{quantization}",
    "context": "{tokens} 个 token",
    "image": "模型看到的图片为 {smallest:,} 到 {largest:,} 像素",
}


def first_token(seconds: float) -> str:
    return f"首个 token {seconds:.2f} s"


def prompt_length(tokens: int, image_tokens: int) -> str:
    return f"提示 {tokens} 个 token" + (f"（其中图片 {image_tokens} 个）" if image_tokens else "")


def opening(seconds: float) -> str:
    return f"正在打开文件，已用 {seconds:.0f} s"


def in_line(ahead: int, eta_s: float) -> str:
    return f"正在排队；前面还有 {ahead} 个，大约 {max(1, round(eta_s))} s" if ahead else "正在排队；下一个就是您"


def reading(tokens: int, seconds: float) -> str:
    return f"{LOOKING}：约有 {tokens:,} 个 token 要读，已用 {seconds:.0f} s" if seconds >= 1 else LOOKING


WELCOME = "给我看一张图片，然后提问"
MORE_SOURCES = "来自网络或摄像头的图片"
URL = "图片地址"
ADD_URL = "添加到问题"
CAMERA = "摄像头"
ABOUT = "这是哪个模型？"
TEMPERATURE = "温度"
TEMPERATURE_INFO = "0 表示总是选择概率最大的词"
MAX_NEW_TOKENS = "回答的最大长度（token）"
ADVANCED = "高级"
TOP_P = "Top-p"
REPETITION_PENALTY = "重复惩罚"
SEED = "随机种子；-1 表示每次都用新的"
PIXEL_BUDGET = "像素预算（每张图片的 token 数）"
PIXEL_BUDGET_INFO = "0 表示由模型决定；越少越快，看到的细节也越少"
SYSTEM_PROMPT = "系统提示词"

VIEWER = {
    "title": "模型看到的内容",
    "empty": "添加一张图片，这里会显示模型看到的样子。",
    "as_seen": "模型看到的样子",
    "seen_at": "模型看到 {width} × {height} 像素",
    "original": "{width} × {height} 像素",
    "box": "画一个框",
    "point": "放一个点",
    "draw_hint": "在图片上拖动。用键盘：方向键移动，Shift 加方向键调整大小，Esc 删除。",
    "canvas": "图片 {name}",
    "canvas_drawing": "在 {name} 上画：方向键移动区域，Shift 加方向键调整大小，回车键就它提问。",
    "ask_crop": "就这个区域提问",
    "crop_note": "该区域会被裁剪下来，添加到你的问题中。",
    "crop_only_note": "该区域会被裁剪下来单独提问：这个小模型读不懂坐标。",
    "ask_coordinates": "把坐标写进问题",
    "remove": "删除",
    "detections": "模型指出的位置",
    "unnamed": "未命名",
    "capped": "只显示前 {count} 个。",
    "outside": "{found} 个中有 {count} 个在图片之外或没有面积。",
    "zoom": "放大到 {label}",
    "whole": "整张图片",
    "export": "保存为",
    "json": "JSON",
    "coco": "COCO",
    "csv": "CSV",
    "png": "PNG",
    "pick": "这些框属于",
    "show": "显示",
    "nth": "第 {number} 张图片",
}
CONTEXT = {
    "title": "下一个问题的上下文",
    "empty": "还没有图片。",
    "show": "显示 {name}",
    "send": "随下一个问题发送 {name}",
    "on": "发送",
    "off": "不发送",
    "pending": "新",
    "cached": "已缓存",
    "cached_why": "上一个回答中，它的编码来自缓存",
    "size": "{width} × {height} → {seen_width} × {seen_height}",
    "frames": "{frames} 帧",
    "tokens": "{tokens} 个 token",
    "share": "占上下文的 {share}",
    "total": "{context} 个 token 中有 {tokens} 个是图片（{share}）",
    "time": "看完大约需要 {time}",
    "no_new": "没有新的内容要看",
    "no_time": "有过一次带图片的回答之后才知道时间",
    "memory": "占用内存 {size}",
    "reused": "上一个回答：{prompt} 个提示 token 中有 {reused} 个来自缓存",
    "meter": "图片占上下文的比例",
}
WHAT_IS_THIS = "这是什么？"
WHAT_IS_THERE = "这个位置是什么："
NO_REGION = "这个区域在图片之外或没有面积。请重新画。"
NOTHING_TO_EXPORT = "没有可以保存的内容。请先问某样东西在哪里。"

STAGES = {
    "media": "打开文件",
    "queue": "排队",
    "resize": "缩放",
    "vision": "看图（编码器）",
    "prefill": "阅读（预填充）",
    "first": "首个 token",
    "decode": "书写（解码）",
}
COUNTS = {
    "prompt": "提示 token",
    "images": "其中图片",
    "cached": "来自缓存",
    "encoder_hits": "缓存的图片",
    "tokens": "回答 token",
    "speed": "token/秒",
}
TOKENS_PER_SECOND = COUNTS["speed"]

TAB_CHAT = "对话"
TAB_VIDEO = "视频"
TAB_DOCUMENTS = "文档"
TAB_KNOWLEDGE = "知识库"
TAB_TASKS = "任务"
TAB_CAMERA = "摄像头"
TAB_COMPARE = "比较"
ASK = "提问"
STOPPED_HERE = "已停止。已经写出的内容会保留。"
STOP = "停止"

CLIP = "视频"
CLIP_START = "开始（秒）"
CLIP_END = "结束（秒；0 表示到结尾）"
CLIP_FPS = "每秒帧数"
CLIP_FRAMES = "最多帧数"
CLIP_QUESTION = "关于视频的问题"
CLIP_QUESTION_VALUE = "描述这段视频。"
NO_CLIP = "请先选择或录制一段视频。"
FRAMES = {
    "title": "模型看到的帧",
    "empty": "选择或录制一段视频，这里会显示模型将看到的帧。",
    "frame": "{time} 的帧；在播放器中显示",
    "summary": "{duration} 秒中的 {frames} 帧，每秒 {fps} 帧",
    "size": "模型看到的每帧为 {width} × {height} 像素",
    "tokens": "{tokens} 个 token，占上下文的 {share}",
}
TIMESTAMPS = {
    "title": "回答",
    "empty": "回答会显示在这里。其中提到的时间可以跳到视频的相应位置。",
    "timestamps": "回答中的时刻",
    "none": "回答没有提到这段视频的时间。",
    "seek": "在播放器中显示 {time}",
    "export": "保存为",
    "srt": "SRT 字幕",
    "vtt": "WebVTT",
    "chapters": "章节",
}

DOCUMENT_FILE = "PDF 或页面图片"
DOCUMENT_TASK = "要做什么"
DOCUMENT_PROMPT = "给模型的指令"
DOCUMENT_READ = "读取页面"
NO_DOCUMENT = "请先选择一个 PDF 或页面图片。"
DOCUMENT_PROMPTS = {"text": "读出图中的文字", "html": "QwenVL HTML", "markdown": "把这一页转换为 Markdown。"}
DOCUMENT_TASKS = {"text": "纯文本", "html": "带区域的 QwenVL HTML", "markdown": "Markdown"}
DOCUMENT_EMBEDDED = (
    "内置的小模型只能把印刷的行读成纯文本。它没有学过 QwenVL HTML、Markdown、表格和公式；这些需要完整的 Qwen2.5-VL。"
)
FORMULAS = "公式"
DOCUMENT_KINDS = {
    "heading": "标题",
    "paragraph": "段落",
    "table": "表格",
    "list": "列表",
    "list item": "列表项",
    "formula": "公式",
    "image": "图片",
    "code": "代码",
    "quote": "引用",
    "header": "页眉",
    "footer": "页脚",
    "line": "分隔线",
}
DOCUMENT = {
    "empty": "选择一个 PDF 或图片。页面会显示在这里，旁边是模型读到的内容。",
    "page": "第 {number} 页，共 {pages} 页",
    "previous": "上一页",
    "next": "下一页",
    "image": "{name} 的第 {number} 页",
    "reading": "模型读到的内容",
    "waiting": "还没有读取这一页。",
    "elements": "元素",
    "region": "元素 {number}，{kind}：在文档中显示",
    "cut": "内容太多，无法全部显示；其余部分已省略。",
    "frame": "模型读到的页面",
    "source": "模型写出的原文",
    "export": "保存为",
    "markdown": "Markdown",
    "html": "HTML",
    "json": "JSON",
    "no_regions": "回答没有给出页面的区域。",
    "kinds": DOCUMENT_KINDS,
}

JSON_SCHEMA = "按此模式以 JSON 回答"
JSON_SCHEMA_INFO = "留空则模型自由作答。填写后，回答只能是这种结构的 JSON。"
TASK_TITLES = {
    "describe": "描述图片",
    "read": "读取文字",
    "extract": "按模式提取为 JSON",
    "page": "读取页面",
    "motion": "看一段视频",
    "find": "查找并画框",
    "count": "计数",
    "compare": "比较两张图片",
    "chart": "读取图表数值",
    "document": "解析文档",
    "video": "视频中的时刻",
    "gui": "查找界面元素",
}
TASKS = {
    "title": "它能做什么",
    "intro": "每一项都会填好我们的图片、问题和设置。随意修改，然后提问。",
    "unable": "需要完整模型",
    "why": "现在作答的是内置的小模型，它没有学过这个；它会回答，但会答错。",
    "schema": "带 JSON 模式",
    "video": "在“视频”标签页",
    "documents": "在“文档”标签页",
    "titles": TASK_TITLES,
}

NO_TASK = "没有这个任务。"
CAMERA_QUESTION_VALUE = "描述这张图片"
CAMERA_QUESTION = "对每张图片提的问题"
CAMERA_INTERVAL = "两张图片之间至少间隔（秒）"
CAMERA_VIEW = {
    "start": "打开摄像头",
    "stop": "停止",
    "idle": "摄像头已关闭。只有在它运行时图片才会发给模型，而且都不会保存。",
    "looking": "正在看 {time} 的图片",
    "next": "{seconds} 秒后拍下一张",
    "hidden": "页面被隐藏，已停止。",
    "refused": "无法使用摄像头：{reason}",
    "none": "还没有回答。",
    "asked": "{time} 的图片",
    "dropped": "有一个回答耗时太久，已放弃。",
    "video": "摄像头",
    "image": "回答所说的图片",
}

KEPT_BROKEN = "无法读取这段对话：它已损坏或太长。"
KEPT_FOREIGN = "这段对话提到了没有上传到这里的文件，因此没有打开。"
IMAGE_GONE = "（{name}：已不在服务器上）"
SPEAKERS = {"user": "您", "assistant": "模型"}
COMPARE_QUESTION = "两边共用的图片和问题"
COMPARE_ASK = "同时提问"
COMPARE_ENGINE = "引擎与量化"
COMPARE_LOADING = "尚未就绪"
COMPARE_ONE = (
    "只加载了一个引擎，所以两边问的是同一个。要比较两个引擎，请用 `--compare-engine generate` 或 "
    "`--compare-quantization nf4` 启动程序：模型会再加载一次。这需要自己的机器，不能用于 ZeroGPU，也不能用于 `--engine remote`。"
)
COMPARE = {
    "title": "两个回答",
    "empty": "点击“同时提问”：两个回答会在这里并排写出，下面显示差异和各自的用时。",
    "temperature": "温度 {value}",
    "budget": "每张图片 {value} 个 token",
    "own_budget": "图片尺寸由模型决定",
    "max_tokens": "最多 {value} 个 token",
    "seed": "种子 {value}",
    "same": "两个回答相同。",
    "different": "两个回答不同。",
    "sooner": "{side} 先完成，早 {by}。",
    "level": "两边同时完成。",
    "quicker": "{side} 写得更快：每秒 {fast} 个 token，另一边 {slow} 个。",
    "difference": "不同之处",
    "gone": "只在 A 中",
    "new": "只在 B 中",
    "timings": "时间花在哪里",
    "shared": "两边在同一台机器上同时运行：一边看图时另一边可能在等待，一边看过的内容也可能已为另一边缓存。",
    "stage": "阶段",
    "better": "更快",
    **STAGES,
    "whole": "全部",
    **COUNTS,
}

INTERRUPTED = "页面在回答完成前被关闭。点击“重试”可再次提问。"
CONVERSATIONS = {
    "title": "历史对话",
    "intro": "对话连同图片和视频只保存在此浏览器中：最多 200 个对话或 256 MiB，超出时先删除最旧的。",
    "none": "您的对话会显示在这里。",
    "nothing": "没有对话包含这些文字。",
    "blocked": "这个浏览器不允许此页面保存内容。",
    "dropped": "空间不足：最早的对话已被删除。",
    "search": "搜索对话",
    "open": "打开 {name}",
    "current": "当前打开",
    "rename": "重命名",
    "rename_of": "重命名 {name}",
    "name": "对话名称",
    "delete": "删除",
    "delete_of": "删除 {name}",
    "sure": "确定删除？",
    "sure_of": "确定删除 {name}？",
    "export_of": "把 {name} 保存为 {kind}",
    "markdown": "Markdown",
    "json": "JSON",
    "html": "HTML",
    "messages": "{count} 条消息",
    "full": "此浏览器已没有空间保存此对话。",
    "new": "新对话",
    "today": "今天",
    "yesterday": "昨天",
    "before": "更早",
    "more_of": "{name} 的更多操作",
    "save_as": "另存为 {kind}",
    "message": "1 条消息",
    "versions": "版本",
    "earlier": "上一个版本",
    "later": "下一个版本",
}


def kept_answer(model: str, temperature: float) -> str:
    return f"{model} · 温度 {temperature:g}"


def images_gone(count: int) -> str:
    return f"其中 {count} 张图片已不在服务器上。要就它们提问，请重新添加。"


NOTHING_TO_COPY = "没有可以复制的问题。请先输入或提出一个问题。"
TOO_LONG_TO_COPY = "对话太长，无法写成代码。"
SCHEMA_NO_JSON = "JSON 模式不是有效的 JSON。请先改正或清空。"
BUNDLE_OPEN = "打开分享包并重新提问"
SHARE = {
    "title": "复制与分享",
    "intro": "把页面上的问题写成程序代码。图片从同名文件读取。",
    "make": "生成代码",
    "curl": "curl",
    "openai": "openai（Python）",
    "gradio_client": "gradio_client（Python）",
    "kinds": "代码种类",
    "copy": "复制",
    "copied": "已复制",
    "copy_failed": "浏览器不允许此页面复制。代码已选中，请用键盘复制。",
    "bundle": "把最后一个回答保存为分享包",
    "bundle_intro": "分享包包含问题、图片、参数和模型。在这里或别处打开后会重新提问。",
    "running": "正在重新提问…",
    "failed": "这次没有得到回答。",
    "same": "回答相同。",
    "different": "回答不同。",
    "same_model": "模型相同：{model}。",
    "other_model": "模型不同：当时是 {theirs}，现在是 {ours}。",
    "other_sizes": "模型看到的图片尺寸与当时不同。",
    "difference": "不同之处",
    "gone": "之前",
    "new": "现在",
}


def bundle_too_long(wanted: int, longest: int) -> str:
    return f"分享包要求回答最长 {wanted} 个 token；本服务器最多给出 {longest} 个（--max-new-tokens）。"


ACCESSIBILITY = {
    "enlarge": "放大显示图片",
    "error": "提示",
    "names": {
        "Copy conversation": "复制对话",
        "chatbot conversation": "对话",
        "Fullscreen": "全屏",
        "Exit fullscreen mode": "退出全屏",
        "Copy message": "复制消息",
        "Download": "下载",
        "Edit": "编辑",
        "undo": "撤销",
        "Multimedia input field": "问题",
        "Upload a file": "上传文件",
        "Upload file": "上传文件",
        "Click to upload or drop files": "点击上传或拖入文件",
        "Click to Access Webcam": "点击打开摄像头",
        "Capture from camera": "用摄像头拍摄",
        "Submit": "发送",
        "Stop": "停止",
        "Close": "关闭",
        "Remove": "移除",
        "Reset to default value": "恢复默认值",
        "Gradio footer navigation": "Gradio 页脚导航",
        "number input for ": "数字输入：",
        "range slider for ": "滑块：",
    },
}
LANGUAGE = {"other": "English", "title": "Switch to English"}
EXAMPLE_TITLES = {
    "Describe an image": "描述图片",
    "Point at things": "指出物体",
    "Count": "计数",
    "Read a sign": "读标牌",
    "Ask about a receipt": "询问小票",
    "Read a chart": "读图表",
    "Compare two images": "比较两张图片",
    "Watch a clip": "看一段视频",
    "Ask in Chinese": "用中文提问",
}
MODEL_MENU = {
    "title": "模型",
    "label": "模型",
    "embedded": "内置演示模型",
    "answers": "正在使用",
    "use": "使用",
    "use_of": "使用 {name}",
    "fetch": "下载并使用",
    "fetch_of": "下载并使用 {name}",
    "comes_with": "随程序提供",
    "here": "已下载",
    "to_fetch": "需下载 {size}",
    "size_unknown": "下载大小未知",
    "needs": "需要 {needed} GiB 内存",
    "needs_more": "需要 {needed} GiB 内存，目前空闲 {free} GiB",
    "speed": "首字约 {seconds} 秒，之后每秒 {rate} 个词元",
    "free": "空闲内存 {free} GiB。",
    "measuring": "正在测量这台机器的速度…",
    "everybody": "更换模型对所有使用本页面的人生效。新模型就绪之前，由当前模型作答。",
    "progress": "下载进度",
    "pause": "暂停",
    "resume": "继续",
    "cancel": "取消",
    "again": "重试",
    "dismiss": "关闭",
    "stages": {
        "downloading": "正在下载 {name}",
        "paused": "{name}：下载已暂停",
        "loading": "正在加载 {name}",
        "draining": "正在切换到 {name}",
        "failed": "{name} 无法使用",
    },
}
MODELS_KNOWN_FOR = {
    "embedded": "图形、图标、简短文字和简单图表；看不懂照片。",
    "Qwen/Qwen2.5-VL-3B-Instruct": "照片、文档、图表和视频。",
    "Qwen/Qwen2.5-VL-7B-Instruct": "同上，回答更好，但更慢。",
}


def ask_instead(model: str) -> str:
    return f"改问 {model}"


def given_up(model: str) -> str:
    return f"已取消切换到 {model}。"


SETTINGS = "设置"
SEEN = "模型看到的内容"
LAYOUT = {
    "rail": "对话",
    "side": "模型看到的内容",
    "side-close": "关闭面板",
    "settings": "设置",
    "settings-close": "关闭设置",
    "theme": "深色",
}
CHIPS = {
    "temperature": "温度 {value}",
    "length": "最多 {value} 个 token",
    "top_p": "Top-p {value}",
    "penalty": "重复惩罚 {value}",
    "seed": "随机种子 {value}",
    "system": "系统提示：{value}",
    "schema": "JSON：{value}",
    "budget": "每张图片最多 {value} 个 token",
    "change": "在设置中修改",
    "reset": "恢复默认：{text}",
}
DROP = {"drop": "拖放到此处即可提问"}
CAN_BE_WRONG = "回答可能有误，重要内容请核对。"
UNSURE = "模型对这个回答没有把握。"

COLLECTION = "文档集"
COLLECTION_FILES = "拖入 PDF、图片、文本或 Office 文件"
COLLECTION_SEARCH = "在此文档集中搜索"
COLLECTION_FIND = "搜索"
NO_COLLECTION = "仅模型"
ASK_WITH = "回答依据"
COLLECTIONS = {
    "empty": "还没有文档集。拖入文件即可新建。",
    "reading": "已读 {done} / {pages} 页",
    "ready": "{pages} 页",
    "failed": "无法读取",
    "remove": "删除 {name}",
    "sure": "删除 {name} 及其所有文件？",
    "page": "第 {page} 页",
    "nothing": "没有找到。",
}
SOURCES = {"heading": "来源", "page": "第 {page} 页"}
