"""What the whole program says, in Chinese, by its English: sentences, kinds of errors, questions of cards."""

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
    "engine_restarting": "模型进程已结束，正在重新启动。请稍后再问一次。",
    "not_found": "没有这个文档集或文件。",
    "collection_not_found": "没有这个文档集。",
    "file_not_found": "这个文档集里没有该文件或页面。",
    "not_in_documents": "您的文档中没有这方面的内容。",
    "embeddings_away": "向量服务没有正常应答。",
    "out_of_memory": "这个请求需要的内存超过了可用内存。请减少或缩小图片，或稍后再试。",
}
# Every `Sentence` of the program by its English template.
SENTENCES = {
    "{name} needs more memory to read than is allowed.": "读取 {name} 所需的内存超过上限。",
    "{name} is no docx, pptx or xlsx file.": "{name} 不是 docx、pptx 或 xlsx 文件。",
    "There is no page {one:.0f} in {name}.": "{name} 没有第 {one:.0f} 页。",
    "{name} has {one:,.0f} pages; the limit is {limit} (--max-knowledge-pages).": (
        "{name} 有 {one:,.0f} 页，上限为 {limit} 页（--max-knowledge-pages）。"
    ),
    "Reading {name} took longer than {limit_s:g} s (--knowledge-timeout-s).": (
        "读取 {name} 超过了 {limit_s:g} 秒（--knowledge-timeout-s）。"
    ),
    "{name} made its reader fail: it is damaged or needs too much memory.": (
        "读取 {name} 时出错：文件已损坏，或需要的内存过多。"
    ),
    # which model, and how far it is
    "chosen with --model": "由 --model 指定",
    "chosen with --model embedded": "由 --model embedded 指定",
    "no CUDA GPU was found, and no larger model has been fetched (qwen-demo pull fetches one)": (
        "没有找到 CUDA GPU，也没有下载过更大的模型（qwen-demo pull 可以下载）"
    ),
    "no CUDA GPU was found, and {free:.1f} GiB of free memory are too few for {model} ({quantization})": (
        "没有找到 CUDA GPU，空闲内存 {free:.1f} GiB 放不下 {model}（{quantization}）"
    ),
    "found in the local cache; it fits {free:.1f} GiB of free memory, and no CUDA GPU was found": (
        "在本地缓存中找到；{free:.1f} GiB 空闲内存放得下，没有找到 CUDA GPU"
    ),
    "Downloading {model}: {done:.2f} of {total:.2f} GB, file {file} of {files}": (
        "正在下载 {model}：{done:.2f} / {total:.2f} GB，文件 {file} / {files}"
    ),
    "Downloading {model}: {done:.2f} of {total:.2f} GB, file {file} of {files}, {seconds:.0f} s left": (
        "正在下载 {model}：{done:.2f} / {total:.2f} GB，文件 {file} / {files}，还需 {seconds:.0f} 秒"
    ),
    "Reading the weights: {done:.1f} of {total:.1f} GB, file {file} of {files}, {seconds:.0f} s left": (
        "正在读取权重：{done:.1f} / {total:.1f} GB，文件 {file} / {files}，还需 {seconds:.0f} 秒"
    ),
    "Reading {size:.1f} GB of quantised weights from the cache": "正在从缓存读取 {size:.1f} GB 量化权重",
    "Keeping {size:.1f} GB of quantised weights for the next start": "正在为下次启动保存 {size:.1f} GB 量化权重",
    "{model}: {needed:.2f} GB are still to be downloaded, and the disk of {folder} has {free:.2f} GB free. Make "
    "room, or set HF_HOME to a folder on a larger disk; what has come stays there and is not fetched again.": (
        "{model}：还需下载 {needed:.2f} GB，而 {folder} 所在磁盘只剩 {free:.2f} GB。请腾出空间，或把 HF_HOME 设到更大的磁盘；"
        "已下载的部分会保留，不会重新下载。"
    ),
    "{folder} lacks {files}, which its index names. The download is not complete: fetch it again with "
    "qwen-demo pull, or copy the missing files.": (
        "{folder} 缺少其索引中列出的 {files}。下载不完整：请用 qwen-demo pull 重新下载，或补上缺少的文件。"
    ),
    "{model} is being fetched or loaded. Cancel that first.": "{model} 正在下载或加载。请先取消。",
    "{model} answers already.": "{model} 已经在作答。",
    "It was loaded and is not ready: {why}": "已加载，但没有准备好：{why}",
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
    # the engine's process
    "Starting the engine's process": "正在启动引擎进程",
    "not started": "尚未启动",
    "closed": "已关闭",
    "The engine could not be started ({error}). The log has the cause.": "引擎无法启动（{error}）。原因见日志。",
    "The engine's process could not be started: {error}.": "引擎进程无法启动：{error}。",
    "The engine's process ended while it loaded ({how}).": "引擎进程在加载时结束（{how}）。",
    "The engine's process has ended": "引擎进程已结束",
    "The engine's process ended ({how}); it is being started again": "引擎进程已结束（{how}）；正在重新启动",
    "The engine's process failed {count} times in a row (last: {how}) and is not started again. Restart the program": (
        "引擎进程连续失败 {count} 次（最近一次：{how}），不再重新启动。请重启本程序"
    ),
    "The engine ended while it worked on this ({how}). Ask again in a moment.": (
        "引擎在处理这个请求时结束（{how}）。请稍后再问。"
    ),
    "The engine ended the answer without a word.": "引擎没有说明原因就结束了回答。",
    "The model is not ready: {detail}.": "模型尚未就绪：{detail}。",
    "{ready} of {count} replicas answer (number {number}: {detail})": (
        "{count} 个副本中有 {ready} 个可以回答（{number} 号：{detail}）"
    ),
    "its engine is not ready: {detail}": "它的引擎尚未就绪：{detail}",
    "The program is shutting down.": "程序正在关闭。",
    "its watch failed": "对它的监视失败",
    "stopped by a signal": "被信号暂停",
    "it gave no sign of life for {seconds:.0f} s": "{seconds:.0f} 秒没有任何响应",
    "it has been stuck for {seconds:.0f} s": "已经卡住 {seconds:.0f} 秒",
    "it sent what is no answer": "它发来的不是回答",
    "it is ending": "正在结束",
    "exit code {code}": "退出码 {code}",
    "killed by {signal}": "被 {signal} 终止",
    "killed by signal {number}": "被信号 {number} 终止",
    "{count} images and videos are more than the {most} of one request.": (
        "{count} 个图片和视频超过了一个请求的上限 {most}。"
    ),
    "{count} images are in work or wait, which is all that the engine may have open. Try again in a moment "
    "(an operator can raise the limit of open files).": (
        "正在处理或等待的图片有 {count} 张，已达到引擎可以打开的上限。请稍后再试（管理员可以提高打开文件数的上限）。"
    ),
    "{error}": "{error}",
    "{what} ({stage})": "{what}（{stage}）",
    # limits of a request
    "{count} requests are running or waiting": "有 {count} 个请求正在处理或等待",
    "Prompts of {tokens} tokens are running or waiting": "共 {tokens} 个 token 的提示正在处理或等待",
    "You send more than this server can read. Try again in {seconds:.0f} s.": (
        "您发送的内容超过本服务器的读取能力。请 {seconds:.0f} 秒后再试。"
    ),
    "The conversation has {count} characters. This model reads {tokens} tokens at once, which is far less than {limit} "
    "characters. Shorten it or begin a new one.": (
        "对话共有 {count} 个字符。该模型一次最多读取 {tokens} 个 token，远少于 {limit} 个字符。请缩短对话或开始新的对话。"
    ),
    "{count} requests of yours are running or waiting": "您有 {count} 个请求正在处理或等待",
    "Prompts of yours of {tokens} tokens are running or waiting": "您共有 {tokens} 个 token 的提示正在处理或等待",
    "Files of {count} requests are being opened": "正在打开 {count} 个请求的文件",
    "{what}, which is all that one caller may have here. Try again in about {seconds:.0f} s (an operator can raise "
    "--caller-share).": "{what}，已到每位访问者的上限。请约 {seconds:.0f} 秒后再试（管理员可以调高 --caller-share）。",
    "Your images and requests that are being read take {held} MiB, and this one {size} MiB; those of one caller may take "
    "{limit} MiB. Try again in {seconds:.0f} s, or send less (an operator can raise --memory-budget-mib or "
    "--caller-share).": (
        "您正在读取的图片和请求占用 {held} MiB，这一个需要 {size} MiB；每位访问者的上限为 {limit} MiB。"
        "请 {seconds:.0f} 秒后再试，或减少内容（管理员可以调高 --memory-budget-mib 或 --caller-share）。"
    ),
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
    "{refusal} {remedy}": "{refusal}{remedy}",
    "{name} is HEIC and cannot be read: the file is damaged, cut short, or made in a way that is not accepted. Save it as "
    "JPEG; an iPhone makes JPEG itself with Settings > Camera > Formats > Most Compatible.": (
        "{name} 是 HEIC，无法读取：文件已损坏、不完整或格式不受支持。请另存为 JPEG；在 iPhone 的“设置 > 相机 > "
        "格式”中选择“兼容性最佳”，照片就会存为 JPEG。"
    ),
    "Save it as PNG or JPEG.": "请另存为 PNG 或 JPEG。",
    "It is a drawing without pixels: export it as PNG.": "它是没有像素的矢量图：请导出为 PNG。",
    "Send its pages as images, or open it under Documents on the page.": (
        "请把其中的页面作为图片发送，或在网页的“文档”中打开它。"
    ),
    "Convert it to MP4 with H.264.": "请转换为 H.264 编码的 MP4。",
    "Unpack it and send what is in it.": "请解压后发送其中的文件。",
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
    "The engine failed at this request. Its log has the cause.": "引擎在处理这个请求时出错。原因见其日志。",
    "The engine had not enough memory for this request. Ask with fewer or smaller images.": (
        "引擎的内存不足以处理这个请求。请减少图片或使用更小的图片。"
    ),
    "All decoders are busy. Try again in {seconds:.0f} s.": "解码器都在忙。请 {seconds:.0f} 秒后再试。",
    "The decoders had to be started again. Send the file once more.": "解码器重新启动了。请再发送一次文件。",
    "Decoding {name} took longer than {limit_s:g} s (--image-timeout-s). Send a smaller image.": (
        "解码 {name} 用时超过 {limit_s:g} 秒（--image-timeout-s）。请发送更小的图片。"
    ),
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
    "neither the model hub nor its cache has {model}": "模型库和本地缓存里都没有 {model}",
    "ZeroGPU has room for it; {where}": "ZeroGPU 容得下它；{where}",
    # changing the model
    "{model} is being loaded in the place of the present model ({stage})": (
        "正在加载 {model}，它将取代当前模型（{stage}）"
    ),
    "the answers that have begun are ended": ("正在等已开始的回答结束"),
    "This machine could not be measured: {why}": ("无法测量这台机器：{why}"),
    "{model} needs about {needed:.1f} GiB of memory, and there are {free:.1f} GiB, even without the present "
    "model. Choose a smaller one, or end other programs.": (
        "{model} 约需 {needed:.1f} GiB 内存，即使不算当前模型，也只有 {free:.1f} GiB。请选较小的模型，或关闭其他程序。"
    ),
    "{model} is not offered here.": ("这里不提供 {model}。"),
    "The present model is still loading. Choose another one after that.": ("当前模型仍在加载。请等它就绪后再选。"),
    "{model} has no safetensors files on the hub. Choose a repository that has them.": (
        "{model} 在模型库中没有 safetensors 文件。请选择带有这类文件的仓库。"
    ),
    "{model} is gated: its page on the hub asks for consent. Give it there, make a token that may read, and "
    "set QWEN_DEMO_HF_TOKEN.": (
        "{model} 需要授权：请先在它的页面上同意条款，再创建一个可读取的令牌并设置 QWEN_DEMO_HF_TOKEN。"
    ),
    "{model} has no revision {revision}. Leave --revision away for the newest.": (
        "{model} 没有版本 {revision}。省略 --revision 即使用最新版本。"
    ),
    "The hub shows no {model}: the name is wrong, or it is private. For a private one make a token that may "
    "read it and set QWEN_DEMO_HF_TOKEN.": (
        "模型库中没有 {model}：名称有误，或它是私有的。若是私有的，请创建一个可读取它的令牌并设置 QWEN_DEMO_HF_TOKEN。"
    ),
    "{model} is not in the cache, and HF_HUB_OFFLINE forbids to ask the hub. --model embedded works without.": (
        "{model} 不在缓存中，而 HF_HUB_OFFLINE 禁止访问模型库。--model embedded 无需联网。"
    ),
    "The connection to the hub broke: {why}. What has come stays; try again, or set HF_ENDPOINT to a mirror.": (
        "与模型库的连接中断：{why}。已下载的部分会保留；请重试，或把 HF_ENDPOINT 设为镜像。"
    ),
    "{file} of {model} arrived with other bytes than the hub names (its hash differs) and was removed. Try "
    "again; if it stays so, the hub's mirror or a proxy in between is at fault.": (
        "{model} 的文件 {file} 内容与模型库的哈希不符，已被删除。请重试；若仍如此，则是镜像或中间的代理有问题。"
    ),
}
