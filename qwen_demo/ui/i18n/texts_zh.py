"""What the page says, in Chinese: the same names as in `texts`, and sentences of the whole program by their English."""

TITLE = "Qwen2.5-VL"
PLACEHOLDER = "就图片或视频提问。可以拖入、粘贴或添加附件。"
CONVERSATION = "对话"
QUESTION = "问题"
EMPTY_QUESTION = "请先输入问题或添加图片。"
LOOKING = "正在看"
STOPPED = "已停止。已经写出的内容会保留；点“重试”可以重新回答。"
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
    "marks": "模型指出的位置",
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
TAB_TASKS = "任务"
TAB_LIVE = "摄像头"
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
STRIP = {
    "title": "模型看到的帧",
    "empty": "选择或录制一段视频，这里会显示模型将看到的帧。",
    "frame": "{time} 的帧；在播放器中显示",
    "summary": "{duration} 秒中的 {frames} 帧，每秒 {fps} 帧",
    "size": "模型看到的每帧为 {width} × {height} 像素",
    "tokens": "{tokens} 个 token，占上下文的 {share}",
}
MOMENTS = {
    "title": "回答",
    "empty": "回答会显示在这里。其中提到的时间可以跳到视频的相应位置。",
    "moments": "回答中的时刻",
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
LIVE_QUESTION_VALUE = "描述这张图片"
LIVE_QUESTION = "对每张图片提的问题"
LIVE_EVERY = "两张图片之间至少间隔（秒）"
LIVE = {
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

CONVERSATIONS = {
    "title": "历史对话",
    "intro": "只保存在这个浏览器中。图片留在服务器上，最多一天后会被删除。",
    "none": "还没有保存任何内容。第一个回答会开始一段对话。",
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

# Questions of cards by their English; the others stay, as the embedded model was not taught them in Chinese.
QUESTIONS = {
    "Describe the image.": "描述这张图片",
    "How many apples are there?": "图里有几个苹果？",
    "Read the text.": "读出图中的文字",
    "Which bar is the highest?": "图里哪个最高？",
    "Which way does the purple square move?": "紫色方块往哪个方向移动？",
    "List what happens and when. Give start_time and end_time as mm:ss.ff and a description, in JSON.": (
        "列出发生了什么以及何时发生。用 JSON 给出 start_time 和 end_time（mm:ss.ff）以及描述。"
    ),
    'Where is the "Save" button? Output its point_2d in JSON.': "“Save” 按钮在哪里？用 JSON 输出它的 point_2d。",
}
# What is said about an error whose own sentence is not among `SENTENCES`; by its code.
ERRORS = {
    "internal_error": "服务器内部出错。",
    "invalid_settings": "服务器的设置有误。",
    "invalid_request": "请求没有被接受。",
    "context_length_exceeded": "对话太长，模型读不下。请清空对话，或减少、缩小图片。",
    "invalid_media": "文件没有被接受。",
    "invalid_media_url": "地址没有被接受。",
    "overloaded": "服务器正忙。请稍后再试。",
    "not_ready": "模型还没有准备好。请稍后再试。",
    "deadline_exceeded": "回答用时太久，已被中止。",
    "disk_full": "服务器上存放上传文件的磁盘已满。请稍后再试。",
    "model_load_failed": "模型无法加载。",
    "engine_failed": "模型在处理这个请求时出错。",
    "out_of_memory": "这个请求需要的内存超过了可用内存。请减少或缩小图片，或稍后再试。",
}
# Every `Sentence` of the program by its English template.
SENTENCES = {
    # which model, and how far it is
    "chosen with --model": "由 --model 指定",
    "chosen with --model embedded": "由 --model embedded 指定",
    "no CUDA GPU was found": "没有找到 CUDA GPU",
    "{free:.1f} GiB of free GPU memory are too few for Qwen2.5-VL-3B ({quantization})": (
        "空闲显存只有 {free:.1f} GiB，放不下 Qwen2.5-VL-3B（{quantization}）"
    ),
    "{model} would fit the GPU, but neither the model hub nor its cache has it": (
        "GPU 放得下 {model}，但模型仓库和本地缓存中都没有它"
    ),
    "the largest that fits {free:.1f} GiB of free GPU memory; {where}": (
        "{free:.1f} GiB 空闲显存放得下的最大模型；{where}"
    ),
    "found in the local cache": "在本地缓存中找到",
    "from the model hub": "来自模型仓库",
    "a scripted engine without a model": "按脚本作答的引擎，没有模型",
    "served by {servers}": "由 {servers} 提供",
    "another server": "另一台服务器",
    "as served": "以服务器为准",
    "loading": "加载中",
    "Warming up": "正在预热",
    "The server is shutting down": "服务器正在关闭",
    "The server is shutting down and could not wait for this answer. Ask again in a moment.": (
        "服务器正在关闭，无法等待这个回答。请稍后再问。"
    ),
    "The model is not ready ({state}): {detail}. Try again in a moment.": (
        "模型还没有准备好（{state}）：{detail}。请稍后再试。"
    ),
    # limits of a request
    "{count} requests are running or waiting": "有 {count} 个请求正在处理或等待",
    "Prompts of {tokens} tokens are running or waiting": "共 {tokens} 个 token 的提示正在处理或等待",
    "{what}, which is all that this server takes. Try again in about {seconds:.0f} s.": (
        "{what}，已到本服务器的上限。请约 {seconds:.0f} 秒后再试。"
    ),
    "The images and requests that are being read take {held} MiB, and this one {size} MiB; all together may take "
    "{limit} MiB. Try again in {seconds:.0f} s, or send less (an operator can raise --memory-budget-mib).": (
        "正在读取的图片和请求占用 {held} MiB，这一个需要 {size} MiB；合计上限为 {limit} MiB。"
        "请 {seconds:.0f} 秒后再试，或减少内容（管理员可以调高 --memory-budget-mib）。"
    ),
    "The answer took longer than {limit_s:g} s and was ended. Ask for a shorter answer or smaller images (an "
    "operator can raise --request-timeout-s).": (
        "回答用时超过 {limit_s:g} 秒，已被中止。请要求更短的回答或使用更小的图片（管理员可以调高 --request-timeout-s）。"
    ),
    "The question is empty: type something or add an image.": "问题是空的：请输入内容或添加图片。",
    "The conversation has {count} images and videos; the model looks at {limit} at once. "
    "Clear the conversation or remove some (an operator can raise --max-images).": (
        "对话中有 {count} 个图片和视频；模型一次最多看 {limit} 个。请清空对话或去掉一些（管理员可以调高 --max-images）。"
    ),
    "The {engine} engine cannot hold an answer to a JSON schema.": "{engine} 引擎不能按 JSON 模式作答。",
    "The conversation has {tokens} tokens ({images} of them images), and the model reads {limit} with its answer. "
    "Clear the conversation, send fewer or smaller images, or lower the pixel budget.": (
        "对话有 {tokens} 个 token（其中图片 {images} 个），而模型连同回答最多读 {limit} 个。"
        "请清空对话，减少或缩小图片，或降低像素预算。"
    ),
    "The conversation has {tokens} tokens ({images} of them images), and memory holds {limit} for one request with "
    "its answer. Clear the conversation, send fewer or smaller images, or lower the pixel budget; whoever runs this "
    "program can raise --slot-tokens or --kv-cache-mib.": (
        "对话有 {tokens} 个 token（其中图片 {images} 个），而内存为一个请求连同回答最多留出 {limit} 个。"
        "请清空对话，减少或缩小图片，或降低像素预算；管理员可以调高 --slot-tokens 或 --kv-cache-mib。"
    ),
    "This request needed more GPU memory than is free. Send fewer or smaller images, lower the pixel budget or the "
    "answer's length, or try again when fewer people ask.": (
        "这个请求需要的显存超过了空闲显存。请减少或缩小图片，降低像素预算或回答长度，或等人少时再试。"
    ),
    "The JSON schema has {count} characters; at most {limit} are read.": "JSON 模式有 {count} 个字符；最多读 {limit} 个。",
    "The JSON schema cannot be used: {why}": "这个 JSON 模式不能使用：{why}",
    # files
    "{name} is {seen}. Send {accepted}.": "{name} 是 {seen}。请发送{accepted}。",
    "of an unknown kind": "未知类型的文件",
    "an image: {images}": "图片：{images}",
    "a video: {videos}": "视频：{videos}",
    "an image ({images}) or a video ({videos})": "图片（{images}）或视频（{videos}）",
    "{name} has {size}; the limit is {limit}. Send a smaller file, or start the server with a higher --{setting}.": (
        "{name} 大小为 {size}；上限为 {limit}。请发送更小的文件，或在启动服务器时调高 --{setting}。"
    ),
    "{name} is empty.": "{name} 是空的。",
    "{name} is {width} x {height} = {area:,} pixels; the limit is {limit:,}. "
    "Scale it down, or start the server with a higher --{setting}.": (
        "{name} 为 {width} x {height} = {area:,} 像素；上限为 {limit:,}。请缩小图片，或在启动服务器时调高 --{setting}。"
    ),
    "{name} is {width} x {height} pixels, {ratio:g}:1; the limit is {limit:g}:1 "
    "(--max-aspect-ratio, at most 200, which is the model's own limit). Crop it or cut it into pieces.": (
        "{name} 为 {width} x {height} 像素，长宽比 {ratio:g}:1；上限为 {limit:g}:1"
        "（--max-aspect-ratio，最大 200，这是模型自身的限制）。请裁剪或切成几块。"
    ),
    "{name} has more pixels than the image library accepts. Scale it down.": (
        "{name} 的像素数超过了图片库的上限。请缩小图片。"
    ),
    "{name} needs more memory than the server has. Scale it down.": "{name} 需要的内存超过了服务器的内存。请缩小图片。",
    "{name} cannot be read: the file is damaged or cut short. Save it again.": (
        "无法读取 {name}：文件已损坏或不完整。请重新保存。"
    ),
    "{name} cannot be read: the file is damaged or cut short.": "无法读取 {name}：文件已损坏或不完整。",
    "{name} cannot be opened. Upload it again.": "无法打开 {name}。请重新上传。",
    # clips
    "{name} has no images in it.": "{name} 中没有画面。",
    "{name} is encoded in a way that is not accepted. Convert it to MP4 with H.264.": (
        "{name} 的编码方式不被接受。请转换为 H.264 编码的 MP4。"
    ),
    "{name} needs more memory to decode than is allowed. Send a smaller video.": (
        "解码 {name} 需要的内存超过了上限。请发送更小的视频。"
    ),
    "{name} ends at {value:.1f} s, before the part that was asked for.": (
        "{name} 在 {value:.1f} 秒处结束，早于所选的片段。"
    ),
    "{name} lasts {value:,.0f} s; the limit is {seconds:g} s. "
    "Send a shorter one, or start the server with a higher --max-video-seconds.": (
        "{name} 长 {value:,.0f} 秒；上限为 {seconds:g} 秒。请发送更短的视频，或在启动服务器时调高 --max-video-seconds。"
    ),
    "{name} has more than {value:,.0f} frames: {rate} per second of the longest video (--max-video-seconds). "
    "Send a shorter one.": (
        "{name} 超过 {value:,.0f} 帧：即最长视频（--max-video-seconds）的每秒 {rate} 帧。请发送更短的视频。"
    ),
    "{name} has frames of {size} pixels; the limits are {pixels:,} pixels (--max-video-pixels) and {ratio:g}:1 "
    "(--max-aspect-ratio). Scale it down.": (
        "{name} 的帧为 {size} 像素；上限为 {pixels:,} 像素（--max-video-pixels）和 {ratio:g}:1（--max-aspect-ratio）。"
        "请缩小视频。"
    ),
    "Decoding {name} took longer than {limit_s:g} s (--video-timeout-s). Send a shorter or smaller video.": (
        "解码 {name} 用时超过 {limit_s:g} 秒（--video-timeout-s）。请发送更短或更小的视频。"
    ),
    "{name} made the decoder fail: it is damaged or needs too much memory.": (
        "{name} 使解码器出错：文件已损坏或需要太多内存。"
    ),
    "The part from {start:g} s to {end:g} s of a video is empty. Give 0 <= start < end.": (
        "视频中 {start:g} 秒到 {end:g} 秒的片段是空的。请保证 0 <= 开始 < 结束。"
    ),
    # documents
    "{name} has {size:.1f} MiB; the limit is {limit:.1f} MiB. "
    "Send fewer pages, or start the server with a higher --max-pdf-bytes.": (
        "{name} 大小为 {size:.1f} MiB；上限为 {limit:.1f} MiB。请减少页数，或在启动服务器时调高 --max-pdf-bytes。"
    ),
    "{name} is no PDF file.": "{name} 不是 PDF 文件。",
    "Drawing a page of {name} took longer than {limit_s:g} s (--pdf-timeout-s). Send the page as an image.": (
        "绘制 {name} 的一页用时超过 {limit_s:g} 秒（--pdf-timeout-s）。请把这一页作为图片发送。"
    ),
    "{name} made the PDF reader fail: it is damaged or needs too much memory. Send the page as an image.": (
        "{name} 使 PDF 阅读器出错：文件已损坏或需要太多内存。请把这一页作为图片发送。"
    ),
    "{name} has no pages.": "{name} 没有页面。",
    "{name} is locked by a password. Save it without one and send it again.": (
        "{name} 有密码保护。请去掉密码保存后重新发送。"
    ),
    "{name} needs more memory to draw than is allowed. Send the page as an image.": (
        "绘制 {name} 需要的内存超过了上限。请把这一页作为图片发送。"
    ),
    "{name} has {one:,.0f} pages; the limit is {limit}. Send a part of it, or start the server with a "
    "higher --max-pdf-pages.": (
        "{name} 有 {one:,.0f} 页；上限为 {limit} 页。请只发送一部分，或在启动服务器时调高 --max-pdf-pages。"
    ),
    "There is no page {one:.0f} in {name}; it has {two:.0f}.": "{name} 没有第 {one:.0f} 页；它共有 {two:.0f} 页。",
    "{name} has a page of {one:.0f} x {two:.0f} points; the limit is {limit:g}:1 (--max-aspect-ratio).": (
        "{name} 有一页为 {one:.0f} x {two:.0f} 点；上限为 {limit:g}:1（--max-aspect-ratio）。"
    ),
    # addresses
    "This server does not fetch URLs (--fetch-urls off). Upload the file instead.": (
        "本服务器不从网址取文件（--fetch-urls off）。请直接上传文件。"
    ),
    "The download took longer than {limit_s:g} s (--fetch-timeout-s). Upload the file instead.": (
        "下载用时超过 {limit_s:g} 秒（--fetch-timeout-s）。请直接上传文件。"
    ),
    "The host {host} is not among those this server may fetch from (--fetch-hosts).": (
        "主机 {host} 不在本服务器允许取文件的范围内（--fetch-hosts）。"
    ),
    "The host name {host} is not known.": "找不到主机 {host}。",
    "The host {host} is not on the public internet, so nothing is fetched from it.": (
        "主机 {host} 不在公共互联网上，因此不从它取文件。"
    ),
    "No connection to {host}, or its certificate is not valid for that name.": (
        "无法连接到 {host}，或它的证书与该名称不符。"
    ),
    "The server answered {status} instead of 200.": "对方服务器回应了 {status}，而不是 200。",
    "The URL does not give {kind} content. Use the address of the file itself.": (
        "这个地址给出的不是{kind}。请使用文件本身的地址。"
    ),
    "image or video": "图片或视频",
    "The file behind the URL": "该地址的文件",
    "Only https:// URLs (and data: URLs) are accepted.": "只接受 https:// 地址（和 data: 地址）。",
    "The URL's host must be a full name such as example.com, not an address.": (
        "地址中的主机必须是完整的名称，例如 example.com，不能是 IP 地址。"
    ),
    # share bundles and the camera
    "There is no whole answer to share. Ask first, or ask again.": "没有可以分享的完整回答。请先提问，或重新提问。",
    "The conversation is too long to share: 200 messages at most.": "对话太长，无法分享：最多 200 条消息。",
    "{name} is no longer on the server. Attach it again.": "{name} 已不在服务器上。请重新添加。",
    "The images are too large to share: {limit} MiB at most, all together.": (
        "图片太大，无法分享：合计最多 {limit} MiB。"
    ),
    "The bundle is larger than {limit} MiB.": "分享包超过 {limit} MiB。",
    "This file is no share bundle of this demo.": "这个文件不是本演示的分享包。",
    "This bundle is damaged: it has no question, or lacks an image.": "分享包已损坏：没有问题，或缺少图片。",
    "Image {number} of the bundle is damaged.": "分享包中的第 {number} 张图片已损坏。",
    "Image {number} of the bundle is not the one that was shared: its hash differs.": (
        "分享包中的第 {number} 张图片不是当初分享的那张：哈希值不同。"
    ),
    "The camera gave no image.": "摄像头没有给出图片。",
}
