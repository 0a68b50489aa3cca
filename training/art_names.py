"""Which pictures of the free icon sets show which class: tables for training.collect_art, written by hand.

A line is "class: names"; of a set of line icons the first name that it has is taken, of the others all.
"""

# class: names of line icons whose subject is that class
ICON_NAMES = """
dog: dog sitting-dog dog-side
cat: cat
mouse: rat rodent seated-mouse
rabbit: rabbit
fox: fox fox-head
bear: bear-head bear-face bear
panda: panda
koala: koala koala-bear
tiger: tiger tiger-head
lion: lion
cow: cow
pig: pig
frog: frog
monkey: monkey
chicken: chicken rooster
penguin: penguin
duck: duck
owl: owl
horse: horse horse-head
unicorn: unicorn unicorn-variant
bee: bee
butterfly: butterfly
snail: snail
ladybug: ladybug
spider: spider spider-alt
turtle: turtle sea-turtle
snake: snake
dinosaur: dinosaur-rex
octopus: octopus
crab: crab
fish: fish
dolphin: dolphin
whale: whale sperm-whale
elephant: elephant
giraffe: giraffe
sheep: sheep
hedgehog: hedgehog
cactus: cactus
Christmas tree: christmas-tree
palm tree: palm-tree tree-palm coconut-tree
tree: tree tree-deciduous tree-one
maple leaf: leaf-maple maple-leaf canadian-maple-leaf
mushroom: mushroom mushroom-outline
rose: rose
tulip: flower-tulip tulip
sunflower: sunflower
apple: apple food-apple apple-whole shiny-apple apple-one
pear: pear
lemon: lemon fruit-citrus
banana: banana
watermelon: watermelon fruit-watermelon
bunch of grapes: grapes grape fruit-grapes
strawberry: strawberry
pair of cherries: cherry cherries fruit-cherries
pineapple: pineapple fruit-pineapple
tomato: tomato
eggplant: eggplant aubergine
avocado: avocado avocado-one
broccoli: broccoli
ear of corn: corn
carrot: carrot
loaf of bread: bread bread-slice sliced-bread
croissant: croissant
pretzel: pretzel
piece of cheese: cheese cheese-wedge
fried egg: egg-fried fried-eggs
hot dog: hotdog hot-dog
hamburger: hamburger burger
box of fries: french-fries
pizza: pizza pizza-slice full-pizza
taco: taco
ice cream: ice-cream ice-cream-cone icecream
donut: donut doughnut
cookie: cookie
birthday cake: cake birthday-cake cake-candles
lollipop: lollipop
popcorn: popcorn
cup of coffee: coffee coffee-cup mug-hot mug-saucer
beer: beer beer-stein beer-mug-empty glass-mug-variant
glass of wine: wine glass-wine wine-glass
car: car car-side car-profile
bus: bus bus-side
ambulance: ambulance truck-medical
fire truck: fire-truck firetruck
tractor: tractor
motorcycle: motorcycle motorbike
bicycle: bike bicycle
steam train: steam-locomotive
airplane: plane airplane
rocket: rocket
UFO: ufo flying-saucer
helicopter: helicopter
sailboat: sailboat sail-boat
ship: ship
anchor: anchor
traffic light: traffic-light traffic-lights
house: home house
castle: castle castle-turret fort-awesome
tent: tent camping-tent
volcano: volcano
sun: sun
moon: moon
globe: earth globe-hemisphere-west globe-hemisphere-east earth-americas earth-africa
cloud: cloud
rainbow: rainbow
lightning bolt: bolt lightning zap
snowflake: snowflake
snowman: snowman
fire: flame fire
water drop: droplet drop water-drop water
umbrella: umbrella
soccer ball: ball-football soccer-ball soccer futbol
basketball: ball-basketball basketball
tennis ball: ball-tennis tennis-ball tennis-ball-outline
trophy: trophy
dartboard: target-arrow bullseye-arrow target
die: dice-5 dice-five dice-3 dice-six-faces-four perspective-dice-six-faces-random
puzzle piece: puzzle puzzle-piece jigsaw-piece
guitar: guitar guitar-acoustic
trumpet: trumpet
drum: drum
piano: piano
microphone: microphone mic
pair of headphones: headphones
camera: camera
television: device-tv tv television device-tv-old television-classic
phone: device-mobile smartphone cellphone mobile-screen
laptop: device-laptop laptop
light bulb: bulb lightbulb light-bulb
candle: candle
open book: book-open book-open-variant book-open-text open-book
envelope: mail envelope envelope-simple
package: package box cardboard-box
pencil: pencil
pair of scissors: scissors scissors-cutting
lock: lock
key: key
hammer: hammer
magnet: magnet
bed: bed
door: door wooden-door
chair: chair
teddy bear: teddy-bear
balloon: balloon
gift: gift
pumpkin: pumpkin-lantern halloween
crown: crown
diamond gem: diamond gem cut-diamond
pair of glasses: eyeglass eyeglasses glasses
pair of sunglasses: sunglasses
top hat: top-hat
t-shirt: shirt tshirt t-shirt tshirt-crew
dress: dress
sneaker: shoe sneaker running-shoe shoe-sneaker
backpack: backpack bag-personal
alarm clock: alarm alarm-clock
hourglass: hourglass
shopping cart: shopping-cart cart
bell: bell
smiling face: mood-smile smile smiley emoticon-happy face-smile
crying face: mood-cry emoticon-cry face-sad-tear
angry face: mood-angry angry emoticon-angry face-angry angry-face
ghost: ghost
alien: alien alien-skull
robot: robot bot
skull: skull death-skull
thumbs up: thumb-up thumbs-up
brain: brain
"""

# names of the emoji sets that differ from the table's
EMOJI_NAMES = """
fox: fox-face-1 fox-face-2
bear: bear-face
panda: panda-face
lion: lion-face
frog: frog-face
penguin: penguin-1 penguin-2
unicorn: unicorn-face
chick: hatching-chick-1 hatchingchick
cactus: cactus-1 cactus-2
sunflower: sunflower-1 sunflower-2
watermelon: watermelon-1 watermelon-2
strawberry: strawberry-1 strawberry-2
hamburger: hamburger-1 hamburger-2 hamburger-3
pizza: pizza-1 pizza-2 sliceofpizza
ice cream: soft-ice-cream-1 soft-ice-cream-2 softicecream
donut: doughnut-1 doughnut-2
birthday cake: birthday-cake-1 birthday-cake-2 birthday-cake-3 birthdaycake
cup of coffee: hot-beverage-1 hot-beverage-2
cloud: cloud-1 cloud-2
tennis ball: tennis-2 tennisball
dartboard: direct-hit directhit
die: game-dice gamedie
pair of glasses: glasses-1 glasses-2
backpack: school-backpack schoolsatchel
hourglass: hourglass-not-done-1 hourglass-not-done-2 hourglass hourglassflowingsand
gift: wrapped-gift-1 wrapped-gift-2 present
robot: robot-face-1 robot-face-2 robot-face-3 robot-face
thumbs up: thumbs-up-1 thumbs-up-2 thumbsup
dog: dogside
cat: cat catface
mouse: rat mouseside mouse
tiger: tigerside
cow: cowface cow
pig: pigside
monkey: monkeyface
chicken: chicken rooster
horse: horseface
chicken: chicken rooster
turtle: turtle
whale: spurtingwhale
globe: americasglobe europeafricaglobe
palm tree: palmtree
tree: deciduoustree
maple leaf: mapleleaf
bunch of grapes: grapes
pair of cherries: cherries
ear of corn: earofmaize
loaf of bread: bread
fried egg: cooking
box of fries: frenchfries
beer: beermug
glass of wine: wineglass
car: automobile
fire truck: fireengine
bicycle: bicycle
steam train: steamlocomotive
traffic light: verticaltrafficlight
house: housebuilding
castle: europeancastle
moon: crescentmoon
lightning bolt: highvoltage
snowman: snowmanwithoutsnow
water drop: droplet
umbrella: umbrellawithraindrops
soccer ball: soccerball
light bulb: lightbulb electriclightbulb
phone: mobilephone
laptop: personalcomputer
open book: openbook
pencil: lowerleftpencil
pair of scissors: blackscissors scissors
pumpkin: jackolantern
diamond gem: gem
pair of sunglasses: darksunglasses
top hat: tophat
t-shirt: mansshirt
sneaker: athleticshoe runningshoe
alarm clock: alarmclock
bell: bell
smiling face: grinwide grin
crying face: crying
angry face: pouting angry pouting-face
sun: whitesun sunwithface
microphone: microphone studiomic
drum: drum
"""

# pictures of the Streamline sets, whose names say more than their subject
STREAMLINE_NAMES = """
butterfly: butterfly
castle: castle amusement-park-castle
chicken: chicken
Christmas tree: christmas-tree
crab: crab
die: dices board-game-dice-1
donut: donut
drum: drum
pair of glasses: glasses
hammer: hammer settings-hammer
ladybug: ladybug
laptop: laptop laptop-computer-1
light bulb: light-bulb
microphone: microphone-2 microphone-3 microphone concert-microphone
motorcycle: motorbike
popcorn: popcorn
rainbow: rainbow
robot: robot
sneaker: sneakers-3
strawberry: strawberry
traffic light: traffic-light
UFO: ufo
alien: alien science-fiction-alien-1
balloon: balloon party-balloon
beer: beer-pitch beer-glass
bell: bell
bicycle: bicycle-bike bicycle
hamburger: burger
bus: bus bus-1
camera: camera-1 camera camera-small
candle: candle
piece of cheese: cheese
cup of coffee: coffee-mug
dog: dog-1
door: door
fish: fish
fried egg: fried-egg-breakfast
gift: gift
hourglass: hourglass time-hourglass-triangle
magnet: magnet
umbrella: open-umbrella rain-umbrella-1
sailboat: sail-ship
pair of scissors: scissors scissors-2
skull: skull-2 skull
sun: sun weather-sun
tree: tree-1
glass of wine: wine
trophy: award-trophy-1
pair of headphones: headphones-1
banana: fruit-banana
watermelon: fruit-watermelon
box of fries: fast-food-french-fries
house: house-4 house-chimney
piano: instrument-classical-piano
volcano: natural-disaster-volcano
television: vintage-tv-1 vintage-tv-4 modern-tv-curvy-edge
thumbs up: smiley-thumbs-up-hand
loaf of bread: bread-loaf
crown: vip-crown-queen-1
pencil: pencil-1
"""
# right by name, but a picture of something else, or not to be recognised (seen on contact sheets)
REFUSED = {
    "lucide/bolt",
    "icon-park/apple",
    "ph/diamond",
    "iconoir/diamond",
    "game-icons/light-bulb",
    "icon-park/alarm",
    "streamline/candle",
    "streamline/bell",
    "icon-park/doughnut",
    "icon-park/anchor",
    "icon-park/scissors",
    "streamline/concert-microphone",
    "streamline/award-trophy-1",
    "fxemoji/sunglasses",
    "fxemoji/gamedie",
    "icon-park/brain",
    "icon-park/trumpet",
    "icon-park/water",
    "game-icons/volcano",
    "fxemoji/microphone",
    "fxemoji/mouse",
    "iconoir/motorcycle",
}
