"""Names of everything in the world: colours, shapes, places in a picture and pictograms, in English and Chinese.

The order of SHAPES and PICTOGRAMS fixes the class numbers of the dense labels; it does not reach the weights
that are exported.
"""

COLORS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "yellow": (245, 215, 40),
    "orange": (245, 140, 30),
    "purple": (140, 60, 180),
    "pink": (245, 130, 180),
    "brown": (130, 80, 40),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
    "gray": (128, 128, 128),
    "cyan": (40, 200, 215),
}
COLOR_ZH = {
    "red": "红色",
    "green": "绿色",
    "blue": "蓝色",
    "yellow": "黄色",
    "orange": "橙色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "black": "黑色",
    "white": "白色",
    "gray": "灰色",
    "cyan": "青色",
}
SHAPE_ZH = {
    "circle": "圆形",
    "square": "正方形",
    "triangle": "三角形",
    "star": "星形",
    "rectangle": "长方形",
    "oval": "椭圆形",
    "diamond": "菱形",
    "hexagon": "六边形",
    "heart": "心形",
    "cross": "十字形",
    "ring": "圆环",
    "arrow": "箭头",
}
SHAPES = list(SHAPE_ZH)

BACKGROUNDS = {
    "white": (255, 255, 255),
    "black": (18, 18, 18),
    "gray": (150, 150, 150),
    "light gray": (222, 222, 222),
    "light blue": (190, 215, 245),
    "light yellow": (255, 247, 200),
    "light green": (205, 240, 205),
    "light pink": (255, 214, 224),
    "dark blue": (25, 35, 85),
}
BACKGROUND_ZH = {
    "white": "白色",
    "black": "黑色",
    "gray": "灰色",
    "light gray": "浅灰色",
    "light blue": "浅蓝色",
    "light yellow": "浅黄色",
    "light green": "浅绿色",
    "light pink": "浅粉色",
    "dark blue": "深蓝色",
}

PLACES = [["top left", "top", "top right"], ["left", "center", "right"], ["bottom left", "bottom", "bottom right"]]
PLACE_PHRASE = {
    "top left": "in the top left",
    "top": "at the top",
    "top right": "in the top right",
    "left": "on the left",
    "center": "in the center",
    "right": "on the right",
    "bottom left": "in the bottom left",
    "bottom": "at the bottom",
    "bottom right": "in the bottom right",
}
PLACE_ZH = {
    "top left": "左上角",
    "top": "上方",
    "top right": "右上角",
    "left": "左边",
    "center": "中间",
    "right": "右边",
    "bottom left": "左下角",
    "bottom": "下方",
    "bottom right": "右下角",
}
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]

_PICTOGRAMS = """
🐶🐕|dog|狗
🐱🐈|cat|猫
🐭🐁|mouse|老鼠
🐰🐇|rabbit|兔子
🦊|fox|狐狸
🐻|bear|熊
🐼|panda|熊猫
🐨|koala|考拉
🐯🐅|tiger|老虎
🦁|lion|狮子
🐮🐄|cow|奶牛
🐷🐖|pig|猪
🐸|frog|青蛙
🐵🐒|monkey|猴子
🐔🐓|chicken|鸡
🐧|penguin|企鹅
🦆|duck|鸭子
🦉|owl|猫头鹰
🐴🐎|horse|马
🦄|unicorn|独角兽
🐝|bee|蜜蜂
🦋|butterfly|蝴蝶
🐌|snail|蜗牛
🐞|ladybug|瓢虫
🕷️|spider|蜘蛛
🐢|turtle|乌龟
🐍|snake|蛇
🦖|dinosaur|恐龙
🐙|octopus|章鱼
🦀|crab|螃蟹
🐟🐠|fish|鱼
🐬|dolphin|海豚
🐳🐋|whale|鲸鱼
🐊|crocodile|鳄鱼
🐘|elephant|大象
🦒|giraffe|长颈鹿
🐑|sheep|绵羊
🦔|hedgehog|刺猬
🐣|chick|小鸡
🌵|cactus|仙人掌
🎄|Christmas tree|圣诞树
🌴|palm tree|棕榈树
🌳|tree|树
🍁|maple leaf|枫叶
🍄|mushroom|蘑菇
🌹|rose|玫瑰
🌷|tulip|郁金香
🌻|sunflower|向日葵
🍎|apple|苹果
🍐|pear|梨
🍋|lemon|柠檬
🍌|banana|香蕉
🍉|watermelon|西瓜
🍇|bunch of grapes|葡萄
🍓|strawberry|草莓
🍒|pair of cherries|樱桃
🍍|pineapple|菠萝
🍅|tomato|西红柿
🍆|eggplant|茄子
🥑|avocado|牛油果
🥦|broccoli|西兰花
🌽|ear of corn|玉米
🥕|carrot|胡萝卜
🍞|loaf of bread|面包
🥐|croissant|牛角面包
🥨|pretzel|椒盐卷饼
🧀|piece of cheese|奶酪
🍳|fried egg|煎蛋
🌭|hot dog|热狗
🍔|hamburger|汉堡
🍟|box of fries|薯条
🍕|pizza|披萨
🌮|taco|玉米卷
🍦|ice cream|冰淇淋
🍩|donut|甜甜圈
🍪|cookie|饼干
🎂|birthday cake|生日蛋糕
🍭|lollipop|棒棒糖
🍿|popcorn|爆米花
☕|cup of coffee|咖啡
🍺|beer|啤酒
🍷|glass of wine|红酒
🚗|car|汽车
🚌|bus|公共汽车
🚑|ambulance|救护车
🚒|fire truck|消防车
🚜|tractor|拖拉机
🏍️|motorcycle|摩托车
🚲|bicycle|自行车
🚂|steam train|蒸汽火车
✈️|airplane|飞机
🚀|rocket|火箭
🛸|UFO|飞碟
🚁|helicopter|直升机
⛵|sailboat|帆船
🚢|ship|轮船
⚓|anchor|锚
🚦|traffic light|红绿灯
🏠|house|房子
🏰|castle|城堡
⛺|tent|帐篷
🌋|volcano|火山
☀️🌞|sun|太阳
🌙|moon|月亮
🌍🌎🌏|globe|地球
☁️|cloud|云
🌈|rainbow|彩虹
⚡|lightning bolt|闪电
❄️|snowflake|雪花
⛄|snowman|雪人
🔥|fire|火
💧|water drop|水滴
☂️☔|umbrella|雨伞
⚽|soccer ball|足球
🏀|basketball|篮球
🎾|tennis ball|网球
🏆|trophy|奖杯
🎯|dartboard|飞镖靶
🎲|die|骰子
🧩|puzzle piece|拼图
🎸|guitar|吉他
🎺|trumpet|小号
🥁|drum|鼓
🎹|piano|钢琴
🎤|microphone|麦克风
🎧|pair of headphones|耳机
📷|camera|照相机
📺|television|电视
📱|phone|手机
💻|laptop|笔记本电脑
💡|light bulb|灯泡
🕯️|candle|蜡烛
📖|open book|打开的书
✉️|envelope|信封
📦|package|包裹
✏️|pencil|铅笔
✂️|pair of scissors|剪刀
🔒|lock|锁
🔑|key|钥匙
🔨|hammer|锤子
🧲|magnet|磁铁
🛏️|bed|床
🚪|door|门
🪑|chair|椅子
🧸|teddy bear|泰迪熊
🎈|balloon|气球
🎁|gift|礼物
🎃|pumpkin|南瓜
👑|crown|皇冠
💎|diamond gem|钻石
👓|pair of glasses|眼镜
🕶️|pair of sunglasses|墨镜
🎩|top hat|礼帽
👕|t-shirt|T恤
👗|dress|连衣裙
👟|sneaker|运动鞋
🎒|backpack|书包
⏰|alarm clock|闹钟
⏳|hourglass|沙漏
🛒|shopping cart|购物车
🔔|bell|铃铛
😀😃😄|smiling face|笑脸
😢|crying face|哭脸
😡|angry face|生气的脸
👻|ghost|幽灵
👽|alien|外星人
🤖|robot|机器人
💀|skull|骷髅
👍|thumbs up|竖起的大拇指
🧠|brain|大脑
"""


def _glyphs(run):
    """Split a run of emoji into single ones; variation selectors and joiners stay with their emoji."""
    out = []
    for char in run:
        if out and (char in "\ufe0f\u200d" or out[-1].endswith("\u200d")):
            out[-1] += char
        else:
            out.append(char)
    return out


PICTOGRAMS = [(_glyphs(g), en, zh) for g, en, zh in (line.split("|") for line in _PICTOGRAMS.strip().splitlines())]
PICTOGRAM_NAMES = [en for _, en, _ in PICTOGRAMS]
PICTOGRAM_ZH = {en: zh for _, en, zh in PICTOGRAMS}

_PLURAL = {
    "fish": "fish",
    "sheep": "sheep",
    "mouse": "mice",
    "die": "dice",
    "thumbs up": "thumbs up",
    "popcorn": "boxes of popcorn",
    "loaf of bread": "loaves of bread",
    "broccoli": "heads of broccoli",
    "tomato": "tomatoes",
    "volcano": "volcanoes",
    "maple leaf": "maple leaves",
    "fire": "fires",
}


def plural(name):
    """Plural of an object's name, colour words included: "red box" -> "red boxes"."""
    if name in _PLURAL:
        return _PLURAL[name]
    if " of " in name:
        head, tail = name.split(" of ", 1)
        return f"{plural(head)} of {tail}"
    if name.endswith(("s", "x", "ch", "sh")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def article(name):
    """The name with its indefinite article, or alone where English uses none."""
    if name in ("thumbs up", "popcorn", "broccoli", "fire"):
        return name
    vowel = name[0].lower() in "aeiou" and not name.startswith(("uni", "UFO"))
    return f"{'an' if vowel else 'a'} {name}"


def join(items, word="and"):
    """ "a, b and c"."""
    items = list(items)
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" {word} " + items[-1]


def count_of(number, name):
    """ "one dog", "three dogs"."""
    return f"one {name}" if number == 1 else f"{NUMBERS[number]} {plural(name)}"
