"""Rules for the questions about pictures of shapes and pictograms (see `rules`)."""
# ruff: noqa: E501  (a rule is one line)

_IN = "(in|on) (the|this) image"
RULES = {
    "describe": """
! describe (the|this) image (in detail|in full|precisely|carefully|briefly|for someone who cannot see it|)
! describe (everything|all|all that) (you see|you can see|you notice|you observe|is visible)
! describe the (content|contents|scene|composition|situation) (of this image|here|)
! (give|write) (a|a short|a brief|a detailed|a full|a clear|an accurate|a complete) (description|summary|overview|account|portrayal|rundown) of (the|this) image
! write (a caption|a description|a summary|an alt text|a line of alt text|a few words) (for|to go with) (the|this) image
! (summarise|summarize|sum up|caption|explain|interpret|analyse|analyze|characterise) (the|this) image
! put (this|the) image into words
! (walk|talk|take) me through (the|this) image
! (have|take) a look at (this|the) image and (describe|explain) it
! (summarise|explain|report|narrate) what (is shown|is visible|is depicted|you see|can be seen) (here|in the image|)
! say something about (the|this) image
! (look at|study|examine|inspect|view|observe) (the|this) image and tell me what (is in it|it shows|it contains|you see)
! be my eyes and describe the image
> what (is|can be seen|can be found|is visible|is shown|is depicted|is displayed|is pictured|is portrayed|is presented|appears) (in|on) (the|this) image
> what (you see|you can see|you observe|you notice|you perceive|I am looking at|we are looking at) (here|in the image|)
> what (the|this) image (shows|contains|depicts|displays|presents|is about|consists of|includes|is made of|features|has in it)
> what is going on (here|in the image)
> what there is to see (here|in the image)
> how you would describe (the|this) image
= (the|this image's) (content|contents) of (the|this) image
* (a|a short|a brief|a detailed|a quick|one) (description|caption|summary|overview) (of|for) (the|this) image
* an alt text for (the|this) image
What (can|do) (you|we) (see|notice|observe|make out|find) (here|in this image|on this image|in there|)?
What (does|would) (the|this) image (show|contain|depict|display|present|consist of|include|feature|portray)?
What (is|can be seen|is visible|is depicted|is displayed|is pictured|is shown|appears|is represented) (here|in the image|on the image|in this one)?
What (am I|are we) looking at (here|)?
What is (the image|this image|this one) (about|of|showing|all about)?
I (cannot see|can't see|can't open|have not seen) the image(, describe it|. What is in it?|. What does it show?|, what does it show?)
I am (blind|visually impaired|not wearing my glasses)(. Describe the image.|, please describe the image|, what is in the image?|. What can you see?)
My (son|daughter|kid|grandma|friend|teacher|boss) (sent|gave|showed) me this image(. What does it show?|, what is in it?|. Describe it.|, describe it please)
(Description|Caption|Summary|Image description|Alt text|Contents) (please|pls|?|)
describe (pls|plz|it|this|)
(what's|whats|what is) in (the|this) (pic|image|img)
How would you (describe|caption|summarise|put into words) (the|this) image?
Here is (an image|a pic|my image|another image)(. What does it show?|. What do you see?|, describe it)
I (uploaded|attached|sent|have|made|found) an image(. What does it show?|. What is in it?|. Describe it.)
If you had to (describe|explain) this image, what would you say?
Imagine I am on the phone and cannot see the image. What does it show?
Explain (to a child|to my grandmother|to a friend|to me|to a blind person) what (the image shows|is in the image|can be seen)(.|)
""",
    "list": """
! list (all|all the|the|all visible|the visible|every one of the) objects (in the image|you see|you can see|you recognise|shown|present|)
! (name|enumerate|itemise|itemize|catalogue|tally by name|mention) (all the|the|all|all visible) objects (in the image|you see|shown|here|)
! (name|list|enumerate|mention) (each|every|every single) object (in the image|you see|shown|here|)
! (make|write|compile|create|draw up|put together) (a list|an inventory|a catalogue|an enumeration) of (the|all|all the) objects (in the image|you see|)
! (go|run) through (all the|the) objects (in the image|) (one by one|from left to right|)
! list (everything|all) (from left to right|in the image|that is visible|you can see)
! take inventory (of the image|)
> which objects (are|appear|are visible|are present|are shown|occur|can be seen|can be found|are contained) (in|on) (the|this) image
> which objects (you see|you can see|you recognise|you find|there are|you can identify|you can name)
> what (kinds of|sorts of|) objects (the|this) image (contains|shows|has|includes|is made of)
> what all the objects (are|are called)
+ the names of (all|all the|the) objects (in the image|shown|)
+ (all|all the|the) objects (in the image|you see|that are visible|by name|as a list|from left to right)
* (a|the|a full|a complete|a short) list of (all|the|all the) objects (in the image|shown|)
* an inventory of (the|this) image
Which objects (do you|can you|do we|can we) (see|find|recognise|identify|name|notice|make out) (in the image|here|)?
What objects (are|appear|are visible|are present|are shown|are depicted|are drawn|are contained) (in|on) (the|this) image?
What (are|were) (all the|all|the) objects (in the image|here|called)?
What (different|kinds of|sorts of|types of) objects (are there|do you see|are in the image|can be found)?
(object list|objects|objects please|list of objects|list objects|list please|all objects|inventory)(?|)
Name (them|each of them|all of them) (all|one by one|from left to right)(.|)
Which objects make up (the|this) image?
I need to (label|catalogue|index|tag) this image(. Which objects are in it?|. List the objects.|, which objects are there?)
""",
    "count_all": """
! count (all|all the|the|every one of the|up the|how many) {things} (in the image|you see|here|shown|)
! (tally|add up|total|sum up) (all|all the|the) {things} (in the image|you see|)
! (give|state|report|find|calculate|work out|determine) the (number|total number|count|quantity) of {things} (in the image|shown|)
> how many {things} (there are|you see|you can see|are shown|are visible|appear|can be counted|are present) (in the image|here|)
> how many {things} (the|this) image (has|contains|shows|holds|includes|displays|consists of)
> how many {things} there are (in total|altogether|overall|all in all|in all)
= the (number|total number|exact number|overall number|count|total|quantity|amount|sum) of (all|the|) {things} (in the image|shown|visible|)
= the {things} count
How many {things} (are|appear|are visible|are present|are shown|are depicted|are drawn|exist|can be seen|can be counted) (in|on) (the|this) image?
How many {things} (do you|can you|do we|can we) (see|count|find|make out|notice|spot) (in the image|here|altogether|in total|)?
How many {things} (does|can) (the|this) image (contain|show|have|include|hold|display)?
How many {things} (in total|altogether|overall|in all|all together|are there in total|are there altogether)?
(Number|Count|Total|Quantity|Amount|No.) of {things}(?|)
{things}(: how many?|, how many?| - how many?| count| count?)
(Are there|Is it) one, two, three or more {things}?
What (is|would be) the (count|total count|tally|quantity) of {things} (here|in the image|)?
In total, how many {things} (are there|do you see|are shown)?
My (son|daughter|teacher|pupil) (asks|wants to know) how many {things} there are
""",
    "count_kind": """
! count (all|all the|the|every one of the|up the) {names} (in the image|you see|here|shown|)
! (tally|add up|total) (all|all the|the) {names} (in the image|you see|)
! (give|state|report|find|calculate|work out|determine) the (number|count|quantity) of {names} (in the image|)
> how many {names} (there are|you see|you can see|are shown|are visible|appear|can be counted|are present) (in the image|here|)
> how many {names} (the|this) image (has|contains|shows|holds|includes|displays)
> how many of the objects are {names}
> how often {names} (appear|occur|show up)
= the (number|total number|exact number|count|quantity|amount) of {names} (in the image|shown|visible|)
= the {names} count
How many {names} (are|appear|are visible|are present|are shown|are depicted|are drawn|exist|can be seen) (in|on) (the|this) image?
How many {names} (do you|can you|do we|can we) (see|count|find|make out|notice|spot) (in the image|here|altogether|in total|)?
How many {names} (does|can) (the|this) image (contain|show|have|include|hold|display)?
How many of (these|the|those) (objects|things|items) are {names}?
How many (objects|things|items) (here|in the image|) are {names}?
How many times (do you see|does the image show) {names}?
(Number|Count|Total|Quantity|Amount|No.) of {names}(?|)
{names}(: how many?|, how many?| - how many?| count| count?)
Just the {names}: how many (are there|are they|do you count)?
What (is|would be) the (count|tally|quantity) of {names} (here|in the image|)?
In total, how many {names} (are there|do you see|are shown)?
My (son|daughter|kid|teacher) (asks|wants to know) how many {names} there are
I (counted|see|count) some {names}(. How many are there?|, how many are there?)
""",
    "exist": """
? (if|whether) there is {a_name} (in the image|here|anywhere|somewhere|)
? (if|whether) {a_name} (appears|is present|is visible|is shown|is depicted|can be seen|exists|occurs|is included|can be found) (in the image|here|)
? (if|whether) (the|this) image (contains|shows|includes|features|depicts|displays|has) {a_name}
? (if|whether) you (see|can see|find|notice|detect|can spot|recognise) {a_name} (in the image|anywhere|)
? (if|whether) there are any {names} (in the image|here|)
Is there {a_name} (anywhere|somewhere|in this one|to be seen|among the objects|visible|shown|at all|present|)?
Is {a_name} (shown|depicted|present|displayed|included|pictured|drawn|visible|to be seen|featured|contained|part of the image) (in the image|here|)?
(Do|Can) you (see|spot|find|notice|recognise|make out|identify|observe|discover|perceive) {a_name} (in the image|here|anywhere|)?
(Does|Would) (the|this) image (contain|show|include|feature|depict|display|have|hold) (any {names}|{a_name})?
Are there any {names} (in the image|here|visible|present|to be seen|at all|shown)?
Are any {names} (visible|present|shown|included|there|in the image)?
Can {a_name} be (found|seen|spotted|made out) (here|in the image|anywhere|)?
Does {a_name} (appear|occur|exist|show up|feature) (in the image|here|anywhere)?
(Do|Can) (we|I) (have|see|find) {a_name} (here|in the image|there)?
{a_name} (in the image|here|present|visible|there|yes or no|in this one)?
any {name}(?| here?| in it?)
(Yes or no|True or false): (there is {a_name}|the image contains {a_name}|is there {a_name}?|the image shows {a_name})
I am (looking|searching) for {a_name}(. Is there one?|, is there one?|. Does the image have one?)
I think (there is|I see|the image has) {a_name}(, right?|. Is that so?|, am I right?|. Correct?|, is that true?)
There is {a_name} (in the image|here|), (isn't there|right|correct|true)?
Is one of the objects {a_name}?
Is (at least one|one|a single) {name} (there|visible|in the image|shown)?
Was {a_name} (drawn|placed|put) (here|in the image)?
My (son|daughter|kid|child) (says|thinks) there is {a_name}(. Is that right?|, true?|. Is it so?)
""",
    "where": """
> where (in the image|exactly|roughly|about|) the {name} (is|is located|is placed|is situated|sits|can be found|appears|is shown|stands|is positioned)
> (in which|in what) (part|area|region|section|corner|place|zone|quarter) of the image the {name} (is|sits|lies|can be found|is located)
> where (to find|I find|I should look for|I have to look to see|you see|to look to find) the {name}
> on which side of the image the {name} is
> what (place|position|location|spot) the {name} (has|is at|is in|occupies)
! (tell me|describe|state|report|specify|explain) the (position|location|place|whereabouts|placement) of the {name} (in the image|in words|)
! describe where the {name} (is|sits|can be found|is located) (in the image|)
! say (in words|roughly|briefly|) where the {name} is
= the (position|location|place|whereabouts|placement|spot|area|region|section) of the {name} (in the image|within the image|)
= the (area|region|part|section|corner|spot) of the image (with|containing|that holds|that has) the {name}
Where is the {name} (located|situated|placed|positioned|to be found|shown|sitting|hiding|visible) (in the image|here|)?
Where (can|do|could|should|would) (I|you|we|one) (find|see|spot|look for) the {name} (in the image|here|)?
(In|On) (which|what) (part|area|region|section|side|corner|spot|zone|half) of the image (is|do you see|can I find|lies|sits) the {name}?
At (which|what) (place|position|location|spot) (is|do you see|can I find) the {name}?
Which (part|area|region|section|corner|spot|place) (of the image|) (contains|holds|has|shows) the {name}?
What (is|would be) the (location|whereabouts|placement|place|rough position|spot) of the {name}?
(Position|Location|Place|Whereabouts|Spot) of (the|) {name}(?|)
{name}(: where?|, where?| location?| position?| - where is it?| whereabouts?)
(where's|wheres|where is|where) (the|that|this) {name} (at|in this|pls|)
The {name}, where (is it|is that|would I find it|can I see it)?
I (cannot|can't|could not|fail to) (find|see|spot) the {name}(. Where is it?|, where is it?|, where should I look?|. Help!)
I am (looking|searching) for the {name}(. Where is it?|, where is it?|, where should I look?)
Where (abouts|about|precisely|roughly|approximately|in the scene) is the {name} (in the image|)?
Is the {name} (up, down, left, right or in the middle|at the top, at the bottom, left or right|in a corner, at a side or in the middle)?
My (son|daughter|kid|friend) can't find the {name}(. Where is it?|, where is it?)
Whereabouts (is|in the image is) the {name}?
Does the {name} sit at the top, in the middle or at the bottom?
""",
    "what_at": """
> what (is|can be seen|appears|is shown|is located|sits|is drawn|is visible|stands|you find|you see|you notice|is depicted) {place} (of the image|)
> which object (is|can be seen|appears|is shown|is located|sits|you find|you see) {place} (of the image|)
! (name|identify|mention|state) the object {place} (of the image|)
! tell me the name of the object {place}
= the object {place} (of the image|)
= the name of the object {place}
What (is|can be seen|appears|is shown|is located|sits|is drawn|is visible|stands|is depicted|can be found|is placed|lies|do you see|can you see) {place} (of the image|of this image|)?
(Which|What) object (is|can be seen|appears|is shown|is located|sits|is drawn|is visible|do you see|can I see) {place} (of the image|)?
{place}(: what is it?|, what do you see?|, which object is it?|?| - what is there?|, what can be seen?)
What (sort|kind|type) of object (is|sits|appears|can be seen) {place}?
There is something {place}(. What is it?|, what is it?|. What can it be?)
What is (that|the thing|the object|the one) {place}?
Something is {place}(. What?|. What is it?|, what?)
Can you (identify|name|recognise) (the|that) object {place}?
""",
    "color": """
> (what|which) color the {name} (has|is|is painted in|is drawn in|shows|was given|is filled with|appears in)
> in (what|which) color the {name} is (drawn|painted|shown|filled|printed|rendered)
> how the {name} is (colored|painted|tinted|filled)
! (name|state|identify|report|specify|give) the (color|shade|hue|tint) of the {name}
! describe the color of the {name}
= the (color|exact color|main color|shade|hue|tint|coloring|paint|fill color|coloration) of the {name} (in the image|)
= the {name}'s (color|shade|hue)
What (color|shade|hue|tint) (is|has|would you give|do you see on|do you call) the {name}?
What color (would you say|do you think|exactly|) (is the {name}|the {name} is|the {name} has)?
What color (was|is) the {name} (painted|drawn|filled|given|shown in|printed in) (in the image|)?
Which (color|shade|hue) (does|did) the {name} (have|show|get|possess|carry)?
(In|With) (which|what) color (is|was) the {name} (drawn|painted|shown|filled|printed|coloured|made)?
(Color|Shade|Hue) of (the|) {name}(?|)
{name}(: color?|, what color?| color| color please| - which color?|'s color?)
I am color-blind(. What color is the {name}?|, what color is the {name}?|, which color has the {name}?)
I can't (tell|see|make out) (the color of the {name}|what color the {name} has)(.|)
The {name} (has|comes in|is in|shows) (what|which) color?
The color of the {name} is (...|what?|which?|called?|_)
If I (paint|draw|colour) the {name}, which color do I (need|take|use)?
Which crayon (do I need|was used) for the {name}?
(Is|Was) the {name} red, blue, green or (what|another color)?
what colour(s|) is (the|that|this) {name}
How is the {name} (painted|colored|tinted|colored in)?
""",
    "is_color": """
? (if|whether) the {name} (is|is really|is indeed|looks|appears|is painted|is drawn in|is colored|seems) {color}
? (if|whether) the color of the {name} is {color}
? (if|whether) (it is|this is|there is) a {color} {name}
Is the {name} (really|actually|indeed|truly|in fact|) {color} (or not|or another color|or something else|in the image|)?
(Does|Would) the {name} (look|appear|seem|show up|come) {color}?
Is {color} the (color|shade) of the {name}?
(Is|Was) the {name} (painted|drawn|filled|shown|colored|printed) (in|) {color}?
(Yes or no|True or false): (the {name} is {color}|is the {name} {color}?)
The {name} (is|looks|seems) {color}(, isn't it?|, correct?|. Is that true?|. True?|, yes?|, am I right?|, or not?)
Would you (say|agree) (that|) the {name} is {color}?
Would you call the {name} {color}?
(I think|I believe|I guess|My friend says|Someone said|It seems) the {name} is {color}(. Is that right?|, right?|. Correct?|. Am I right?|, true?)
{name} {color}?
Is the {name} of {color} color?
Can (you|one) say that the {name} is {color}?
""",
    "shape_of": """
> (what|which) (shape|form|figure) (is|has|shows) the color {color}
> (what|which) (shape|form) the {color} (object|thing|one|figure) (has|is)
> what the {color} (shape|figure|form) is (called|)
! (name|identify|state|recognise) the {color} (shape|figure|form|object|one)
= the (shape|form|geometric shape|outline) of the {color} (object|thing|one|figure)
= the (name|type|kind) of the {color} (shape|figure)
What (shape|form|geometric shape|kind of shape|sort of shape|type of shape) is (the {color} one|{color}|the {color} object|the {color} thing|drawn in {color}|shown in {color}|painted {color}|colored {color})?
Which (shape|figure|form|object|one) (is|has been) (drawn in|painted|filled with|colored) {color}?
What is the (thing|object|shape|figure|form) (in|that is|colored|painted in) {color} (called|)?
The {color} (shape|one|object|figure|thing): what (is it|shape is it|form does it have)?
(What|Which) (shape|form|figure) (comes|is shown|appears|do you see) in {color}?
{color} (shape|object|thing|one|figure)(?| - what is it?|: name?)
What do you call the {color} (shape|figure|form)?
Something is {color}(. What shape is it?|. Which shape?|, what is it?)
Is the {color} (shape|object) a circle, a square or (something else|another shape)?
""",
    "largest": """
> which object is (the largest|the biggest|biggest of all|the largest one|larger than the others|the most sizeable|the greatest in size|of the largest size)
> (what|which one) is the (largest|biggest) (of all|here|of the objects|in the image)
> which object (takes up|occupies|fills|covers|needs) the most (space|room|area)
! (name|identify|state|pick|mention) the (largest|biggest|most sizeable|greatest) object (in the image|of all|)
= the (largest|biggest|hugest|greatest|most sizeable) (object|thing|item|one) (in the image|here|of all|in size|)
= the object (with the largest size|of the greatest size|that is the largest|that takes up the most space|with the largest area)
(Which|What) object (is|looks|appears|seems) (the largest|the biggest|biggest|largest|greatest in size) (of all|here|in the image|)?
(Which|What) object (takes up|occupies|fills|covers|needs) the (most space|largest area|most room|biggest area)?
(What|Which one) is the (largest|biggest) (one|of them|of them all|of these|in size|by size|here)?
(Biggest|Largest) (object|thing|item|one)(?|)
Of (all|all the|these|the) objects, which is the (largest|biggest)?
Which object is (bigger|larger) than (all the rest|the rest|every other|any other one|all of the others)?
By size, which object comes first?
Which has the (greatest|largest|biggest) size?
""",
    "smallest": """
> which object is (the smallest|the tiniest|smallest of all|the littlest|smaller than the others|the smallest one|of the smallest size|the least in size)
> (what|which one) is the (smallest|tiniest|littlest) (of all|here|of the objects|in the image)
> which object (takes up|occupies|fills|covers|needs) the least (space|room|area)
! (name|identify|state|pick|mention) the (smallest|tiniest|littlest) object (in the image|of all|)
= the (smallest|tiniest|littlest|least sizeable) (object|thing|item|one) (in the image|here|of all|in size|)
= the object (with the smallest size|of the least size|that is the smallest|that takes up the least space|with the smallest area)
(Which|What) object (is|looks|appears|seems) (the smallest|the tiniest|smallest|littlest|the least in size) (of all|here|in the image|)?
(Which|What) object (takes up|occupies|fills|covers|needs) the (least space|smallest area|least room)?
(What|Which one) is the (smallest|tiniest|littlest) (one|of them|of them all|of these|in size|by size|here)?
(Smallest|Tiniest|Littlest) (object|thing|item|one)(?|)
Of (all|all the|these|the) objects, which is the (smallest|tiniest)?
Which object is (smaller|tinier) than (all the rest|the rest|every other|any other one|all of the others)?
By size, which object comes last?
Which has the (smallest|least|tiniest) size?
""",
    "leftmost": """
> which object is (the leftmost|leftmost|farthest to the left|the furthest left|nearest to the left edge|closest to the left border|on the far left)
> what (is|can be seen|sits|stands|appears) (farthest left|on the far left|at the left edge|nearest the left side|furthest to the left)
> which object comes first from the left
! (name|identify|state|mention) the (leftmost|furthest left|farthest left) object (in the image|)
= the (leftmost|left-most|farthest left|furthest left) (object|thing|item|one) (in the image|here|of all|)
= the object (closest|nearest) to the left (edge|side|border|margin)
= the object on the (far|extreme|outer) left
(Which|What) object (is|sits|stands|lies|appears|is placed) (farthest left|furthest to the left|leftmost|most to the left|on the far left|on the extreme left|nearest the left edge|closest to the left side)?
What (is|do you see|can be seen|do you find) (farthest to the left|furthest left|on the far left|on the extreme left|at the left border|at the left margin)?
(Leftmost|Left-most|Farthest left|Furthest left|Far left) (object|thing|item|one)(?|)
(Reading|Going|Looking|Counting) from left to right, which object (comes first|is the first|is first)?
Starting (on|from) the left, what (comes first|is the first object|do you see first)?
""",
    "rightmost": """
> which object is (the rightmost|rightmost|farthest to the right|the furthest right|nearest to the right edge|closest to the right border|on the far right)
> what (is|can be seen|sits|stands|appears) (farthest right|on the far right|at the right edge|nearest the right side|furthest to the right)
> which object comes first from the right
! (name|identify|state|mention) the (rightmost|furthest right|farthest right) object (in the image|)
= the (rightmost|right-most|farthest right|furthest right) (object|thing|item|one) (in the image|here|of all|)
= the object (closest|nearest) to the right (edge|side|border|margin)
= the object on the (far|extreme|outer) right
(Which|What) object (is|sits|stands|lies|appears|is placed) (farthest right|furthest to the right|rightmost|most to the right|on the far right|on the extreme right|nearest the right edge|closest to the right side)?
What (is|do you see|can be seen|do you find) (farthest to the right|furthest right|on the far right|on the extreme right|at the right border|at the right margin)?
(Rightmost|Right-most|Farthest right|Furthest right|Far right) (object|thing|item|one)(?|)
(Reading|Going|Looking|Counting) from left to right, which object (comes last|is the last|is last)?
Starting (on|from) the right, what (comes first|is the first object|do you see first)?
""",
    "topmost": """
> which object is (the topmost|topmost|highest up|the uppermost|nearest to the top|closest to the upper edge|higher than the others|above all others)
> what (is|sits|stands|appears|can be seen) (highest up|closest to the top|at the upper edge|nearest the top|above everything)
! (name|identify|state|mention) the (topmost|uppermost|highest) object (in the image|)
= the (topmost|top-most|uppermost|highest|upmost) (object|thing|item|one) (in the image|here|of all|)
= the object (closest|nearest) to the (top|upper edge|upper border|top edge)
(Which|What) object (is|sits|stands|lies|appears|is placed) (highest|highest up|closest to the top|nearest the top|topmost|uppermost|farthest up|furthest up|above all the others|higher than all the others)?
What (is|do you see|can be seen) (highest up|farthest up|furthest up|closest to the top edge|nearest to the upper border)?
(Topmost|Top-most|Uppermost|Highest|Furthest up) (object|thing|item|one)(?|)
(Reading|Going|Looking) from top to bottom, which object (comes first|is the first|is first)?
Which object (has|takes) the highest (position|place|spot)?
""",
    "lowest_object": """
> which object is (the lowest|lowest|lowest down|the bottommost|nearest to the bottom|closest to the lower edge|lower than the others|below all others|beneath all others)
> what (is|sits|stands|appears|can be seen) (lowest down|closest to the bottom|at the lower edge|nearest the bottom|below everything|underneath everything else)
! (name|identify|state|mention) the (bottommost|lowermost|lowest) object (in the image|)
= the (bottommost|bottom-most|lowermost|lowest) (object|thing|item|one) (in the image|here|of all|)
= the object (closest|nearest) to the (bottom|lower edge|lower border|bottom edge)
(Which|What) object (is|sits|stands|lies|appears|is placed) (lowest|lowest down|closest to the bottom|nearest the bottom|bottommost|lowermost|farthest down|furthest down|beneath all the others|lower than all the others)?
What (is|do you see|can be seen) (lowest down|farthest down|furthest down|closest to the bottom edge|nearest to the lower border)?
(Bottommost|Bottom-most|Lowermost|Lowest|Furthest down) (object|thing|item|one)(?|)
(Reading|Going|Looking) from top to bottom, which object (comes last|is the last|is last)?
Which object (has|takes) the lowest (position|place|spot)?
""",
    "relation": """
? (if|whether) the {name} (is|lies|sits|is placed|is located|is situated|stands|is found|is positioned|appears) {relation} the {other}
? (if|whether) I am right that the {name} is {relation} the {other}
Is the {name} (situated|positioned|found|shown|drawn|really|actually|somewhere|visible|to be found) {relation} the {other} (in the image|)?
(Does|Would) the {name} (sit|stand|lie|appear|show up|come) {relation} the {other} (in the image|)?
Can (you see|I find|I see|we see) the {name} {relation} the {other}?
(Yes or no|True or false): (the {name} is {relation} the {other}|is the {name} {relation} the {other}?)
(I think|I believe|I guess|My friend says|It seems|Someone says) the {name} is {relation} the {other}(. Is that right?|, right?|. Correct?|. True?|, am I right?)
The {name} (is|sits|lies|stands) {relation} the {other}(, isn't it?|. Correct?|. Is that true?|, yes?|, true or false?|, am I right?)
Would you (say|agree) (that|) the {name} is {relation} the {other}?
Is (it|that|this) (true|so|correct|the case|a fact) that the {name} is {relation} the {other}?
Do I find the {name} {relation} the {other}?
{name} {relation} (the|) {other}(, yes or no?|, right?|, correct?|: true?|?)
""",
    "side_lr": """
> (on|to) which side of the {other} the {name} (is|lies|sits|stands|is placed|can be found)
? whether the {name} is (to the left or to the right|on the left or on the right|on the left-hand or right-hand side|left or right) of the {other}
Is the {name} (to the left or right|on the left or right|on the left side or the right side|on the left-hand side or the right-hand side|to the right or to the left|right or left) of the {other}?
(On|To) which side (of|from) the {other} (is|lies|sits|stands|do you see|can I find) the {name} (, left or right|)?
(Left or right|Right or left)(: the {name} is on which side of the {other}?|, on which side of the {other} is the {name}?|: {name} next to {other}|: where is the {name}, seen from the {other}?)
(Relative|Compared|In relation|With respect) to the {other}, is the {name} (on the left or the right|left or right|to the left or to the right)?
(Seen|Looking|Starting|Going) from the {other}, is the {name} (on the left or the right|left or right|to the left or to the right)?
Does the {name} (lie|sit|stand|appear) (to the left or to the right|on the left or on the right) of the {other}?
{name}: left or right of (the|) {other}?
Do I have to go left or right from the {other} to (reach|get to|find) the {name}?
Would you say the {name} is left or right of the {other}?
""",
    "side_ab": """
? whether the {name} is (above or below|higher or lower than|over or under|above or beneath|on top of or underneath) the {other}
> which way the {name} lies from the {other}, up or down
Is the {name} (above or beneath|over or underneath|higher up or lower down than|further up or further down than|above or under|below or above|lower or higher than|on top of or underneath) the {other}?
(Above or below|Below or above|Higher or lower|Over or under|Up or down)(: the {name} compared with the {other}?|: where is the {name}, seen from the {other}?|, where is the {name} compared to the {other}?)
(Relative|Compared|In relation|With respect) to the {other}, is the {name} (above or below|higher or lower|up or down|over or under)?
(Seen|Looking|Starting|Going) from the {other}, is the {name} (above or below|higher or lower|further up or further down)?
Does the {name} (lie|sit|stand|appear) (above or below|higher or lower than|over or under) the {other}?
{name}: (above or below|over or under|higher or lower than) (the|) {other}?
Do I have to go up or down from the {other} to (reach|get to|find) the {name}?
Would you say the {name} is (above or below|over or under) the {other}?
""",
    "larger": """
> which (one|object|of the two|) is (bigger|larger|greater in size|the bigger one|the larger one), the {name} or the {other}
> which takes up more (space|room), the {name} or the {other}
? whether the {name} or the {other} is (bigger|larger|the bigger one|greater in size)
Which (one|object|of the two|of these|thing|) is (bigger|larger|greater in size|the bigger one|the larger one|of larger size)(, the {name} or the {other}|: the {name} or the {other}|: {name} or {other})?
What is (bigger|larger|greater in size)(, the {name} or the {other}|: {name} or {other}|: the {name} or the {other})?
(Which|What) (takes up|occupies|fills|covers|needs) more (space|room|area), the {name} or the {other}?
(Comparing|Looking at|Of|Taking|Between) the {name} and the {other}, which (one|) is (bigger|larger|the larger one)?
{name} or {other}(: which is bigger?|, which is larger?|, which one is bigger?|: bigger?| - what is larger?)
(Bigger|Larger)(: {name} or {other}?|, the {name} or the {other}?)
Is it the {name} or the {other} that is (bigger|larger)?
Compare the (size|sizes) of the {name} and the {other}(. Which is larger?|, which is bigger?)
Has the {name} or the {other} the (larger|bigger|greater) size?
""",
    "smaller": """
> which (one|object|of the two|) is (smaller|tinier|littler|less big|the smaller one), the {name} or the {other}
> which takes up less (space|room), the {name} or the {other}
? whether the {name} or the {other} is (smaller|the smaller one|tinier)
Which (one|object|of the two|of these|thing|) is (smaller|tinier|less big|the smaller one|of smaller size)(, the {name} or the {other}|: the {name} or the {other}|: {name} or {other})?
What is (smaller|tinier|less big)(, the {name} or the {other}|: {name} or {other}|: the {name} or the {other})?
(Which|What) (takes up|occupies|fills|covers|needs) less (space|room|area), the {name} or the {other}?
(Comparing|Looking at|Of|Taking|Between) the {name} and the {other}, which (one|) is (smaller|the smaller one|tinier)?
{name} or {other}(: which is smaller?|, which is smaller?|, which one is smaller?|: smaller?| - what is smaller?)
(Smaller|Tinier)(: {name} or {other}?|, the {name} or the {other}?)
Is it the {name} or the {other} that is smaller?
Compare the (size|sizes) of the {name} and the {other}(. Which is smaller?|, which is smaller?)
Has the {name} or the {other} the smaller size?
""",
    "background": """
> (what|which) color the background (has|is|shows|is painted in|was given|is filled with)
> what the background (looks like|is like|is)
> how the background (looks|is colored|appears)
! (describe|name|state|identify|specify|report) the (background|backdrop|background color|ground color|color of the background|color of the backdrop)
= the (background|backdrop|ground) color (of the image|)
= the color of the (background|backdrop|backing|ground|canvas|surface behind the objects)
What (color|shade|hue) (is|has) the (background|backdrop|ground|canvas) (of the image|here|)?
(What|Which) (color|shade) (is|lies|can be seen|do you see) (behind|in the back of) (the objects|everything|all objects)?
What (kind|sort|type) of (background|backdrop) (is it|does the image have|do you see|is there)?
(How|In what color) is the (background|backdrop) (colored|painted|drawn|filled)?
On (which|what) (color|background|backdrop) (are the objects|is everything|are they) (drawn|placed|shown)?
(Backdrop|Background|bg)(?| color| color?|: which color?| pls)
What does the (background|backdrop) look like?
And (the background|what about the background|the backdrop)?
What is (behind|in the back of) the objects?
""",
    "what_is": """
> what (this|that|it) is (exactly|called|supposed to be|meant to be|)
> what (this|that|the) (object|thing|icon|pictogram|emoji|symbol|sign) is (called|)
> what this object is named
! (identify|recognise|recognize|name|classify|label) (this|the|that) (object|thing|icon|pictogram|symbol|emoji) (for me|in the image|)
! tell me the name of (this|the) (object|thing|icon|symbol)
= the name of (this|the|that) (object|thing|icon|pictogram|symbol|item|emoji)
= (this|that) (object|thing|icon|pictogram|symbol|item|emoji)
What (is|might|could|would) (this|that|it) (be|be called|represent)?
What (sort|kind|type) of (object|thing|icon|symbol|item|emoji) is (this|it|that|shown)?
What do you call (this|it|that|this object|this thing)?
What is (this|that) (thing|icon|symbol|emoji|pictogram|object|item) (called|named|here|)?
Which (object|thing|icon|symbol|emoji|item) (is|would be) (this|it|that)?
(what's|whats|wats) (this|that|it|this thing|this object)
Do you (know|recognise|recognize) what (this|that|it) is?
How (do you call|would you name) (this|this object|this thing)(| in English)?
What am I (holding|showing you|pointing my camera at)?
(Object|Name|Object name|What object)(?|)
""",
    "what_shape": """
> what (shape|form|figure|geometric shape|kind of shape) (this|that|it) is
> which (shape|form|geometric figure) (this is|it is|is shown|you see|can be seen)
> what this (shape|form|figure) is called
! (identify|recognise|recognize|name|classify|label) (this|the|that) (shape|form|figure|geometric shape|object) (for me|in the image|)
= the (name|type|kind) of (this|the|that) (shape|form|figure|geometric shape)
= this (shape|form|figure)
What (geometric shape|sort of shape|kind of shape|type of shape|form|figure|geometric figure) (is this|is it|do you see|is shown|can you see|is drawn)?
What is (this|that) (shape|form|figure|geometric shape|geometric figure) (called|named)?
Which (geometric shape|form|figure|geometric figure|shape) (is this|is it|do you see|is shown|is drawn|can be seen)?
(Shape|Form|Shape name|Figure|What shape|Which shape)(?|)
Is (this|it) a circle, a square or (something else|another shape)?
What shape (does it|does this|does the object) have?
What shape am I (looking at|showing you|seeing)?
How is this (shape|form|figure) called?
Do you (know|recognise|recognize) this (shape|form|figure)?
""",
    "box": """
! (detect|locate|localise|localize|find|mark|highlight|frame|enclose|box|pinpoint|track down|outline|spot and box) the {name} (in the image|and give its coordinates|with a box|with a rectangle|in JSON format|)
! (draw|put|place|set|make) a (box|bounding box|rectangle|frame|rectangular box) (around|round|over|on) the {name}
! (give|return|output|report|print|list|compute|predict|estimate|determine|show) the (bounding box|bbox|box coordinates|coordinates|bounding rectangle|bbox_2d|box|pixel coordinates|detection box) (of|for) the {name} (as JSON|in JSON|in pixels|)
! (detect|find|locate|search for|look for) the {name} and (return|give|output|report|print) (the bbox|its bounding box|bbox coordinates|the coordinates|JSON|the box in JSON|a bounding box)
! ground the {name} (with a box|in the image|)
* (the|a) (bounding box|bbox|box|bounding rectangle|detection box|bbox_2d|rectangle) (of|for|around) the {name} (as JSON|in JSON format|)
* (the|) (coordinates|box coordinates|pixel coordinates|bbox coordinates|corner coordinates) (of|for) the {name} (as JSON|in JSON format|)
Where is the {name}? (Return|Give|Output|Answer with|Reply with|Use|I need|Draw) (a bounding box|a bbox|bbox_2d|coordinates|box coordinates|the bbox in JSON)(.|)
What (are|would be) the (coordinates|box coordinates|bounding box coordinates|pixel coordinates|bbox coordinates|corner points) of the {name}?
What is the (bounding box|bbox|bounding rectangle|box) (of|for|around) the {name}?
(bbox|box|bounding box|detect|coordinates|coords|find|locate|detection)( of the | for the |: the |: | ){name}(?|)
{name}( bounding box|: bbox please| coordinates| coords?|: coordinates|: box| box please| location as bbox)
In which (rectangle|box) is the {name}?
(Object detection|Detection|Grounding|Localisation): (the|) {name}
Which (pixels|coordinates|box) (cover|covers|enclose|contains) the {name}?
I (want|need|have) to (crop|cut out) the {name}(. Give me the box.|, give me its bounding box.|. What are the coordinates?)
""",
    "boxes": """
! (detect|locate|localise|localize|find|mark|highlight|frame|box|pinpoint) (all|all the|every one of the|all visible) objects (in the image|with boxes|with rectangles|and give coordinates|in JSON format|and draw boxes|)
! (detect|locate|localise|localize|find|mark|highlight|frame|box|ground) (everything|every object|each object|every single object|each and every object) (in the image|with a box|with a bounding box|in JSON format|)
! (draw|put|place|set|make) (a box|a bounding box|a rectangle|a frame|bounding boxes|boxes|rectangles) (around|round|over|on) (every object|each object|all objects|everything|all the objects)
! (give|return|output|report|print|list|compute|predict|determine|show) (the|all) (bounding boxes|bboxes|box coordinates|coordinates|bounding rectangles|boxes|detections) (of|for) (all objects|every object|each object|everything|all the objects) (as JSON|in JSON|)
! (run|perform|do|carry out) object detection (on the image|)
! (detect|find|locate) all objects and (return|give|output|report|print) (the bboxes|their bounding boxes|bbox coordinates|the coordinates|JSON|their boxes in JSON)
* (the|all|all the) (bounding boxes|bboxes|boxes|coordinates|detections|box coordinates) (of|for) (all objects|every object|each object|everything) (as JSON|in JSON format|)
* a (bounding box|bbox|box|rectangle) (for|around) (each|every) object
Where are (all the objects|the objects|all objects|all of them)? (Return|Give|Output|Answer with|Reply with|Use) (bounding boxes|bboxes|coordinates|box coordinates|JSON boxes)(.|)
What are the (coordinates|bounding boxes|bboxes|boxes|box coordinates) of (all objects|the objects|every object|each object|everything)?
(object detection|detect all|detect everything|all bboxes|all boxes|bboxes|bounding boxes|boxes|detections|all detections|locate everything|find everything|box everything)(?|.| please|)
In which (rectangles|boxes) are the objects?
""",
    "point": """
! (point|tap|click|press|poke) (to|at|on) the {name} (in the image|with your finger|)
! (put|place|set|drop|draw|make) (a|one) (point|dot|pin|marker|cross|mark) (on|at|onto) the {name} (in the image|)
! (give|return|output|report|print|show|predict) (the|a) (point|point_2d|point coordinates|centre point|center point|midpoint|click point) (of|for|on) the {name} (as JSON|in JSON|)
! (mark|show|indicate|locate|find|pinpoint) the {name} with (a|one) (point|dot|pin)
! point out (where the {name} is|the {name} in the image|the {name})
! aim at the {name} (and give a point|)
* (the|a|one) (point|point_2d|center point|midpoint|centre point|click position|tap position) (of|for|on) the {name} (as JSON|in JSON format|)
* the (x and y|x, y|x and y position) of the {name}
Where is the {name}? (Return|Give|Output|Answer with|Reply with|Use|Mark) (a point|one point|point_2d|point coordinates|a single point|a dot)(.|)
What is the (center point|centre point|midpoint|point|point_2d|click point|middle point) of the {name}?
(point|click|tap|point at|point to|dot on|point_2d|pointing|pin)( the |: the |: | ){name}(?|)
{name}( point|: point please|: click| point_2d|: point| as a point)
Where (should|must|do) I (click|tap|press|touch) (to hit|to select|to choose|to open|for) the {name}?
(Click|Tap|Press) where the {name} is(.|)
""",
    "it_where": """
> where (it|that one|that object) (is|is located|can be found|sits|is placed|stands|is situated) (in the image|exactly|)
> (in which|in what) (part|area|region|corner|section|spot) (of the image|) it (is|sits|lies|can be found)
! (describe|state|tell me|report) (its|the exact|) (position|location|place|whereabouts|placement) (in the image|)
= its (position|location|place|whereabouts|spot|placement|area) (in the image|)
Where (is|was) (it|that|that one|the thing) (located|situated|placed|positioned|to be found|shown|drawn) (in the image|exactly|)?
Where (can|do|could|should) (I|you|we) (find|see|spot|look for) it (in the image|)?
(And where|where|whereabouts|its location|its position|location|position|and the place)(?|)
(In|On) (which|what) (part|area|region|side|corner|spot|section) (of the image|) is it?
And (where exactly|where roughly|in which part|in what place|on which side) (is it|)?
Where in the image (is|do you see) (it|that)?
""",
    "it_color": """
> (what|which) color (it|that one) (has|is|is painted in|is drawn in|shows)
> how it is (colored|painted|tinted)
! (name|state|identify|report|describe) its (color|shade|hue)
= its (color|shade|hue|tint|coloring|fill color)
(What|Which) (color|shade|hue) (is|has) (it|that|that one|the thing|this one)?
(And|So|) (what|which) color (does it have|is it|is that|has it|do you see)?
(In|With) (what|which) color (is|was) it (drawn|painted|shown|filled)?
(its color|color|and the color|what color|which color|and which color|and its shade|hue|color of it)(?|)
How is it (colored|painted)?
And what about its color?
""",
    "it_box": """
! (detect|locate|localise|localize|find|mark|highlight|frame|enclose|box|pinpoint|outline) (it|that one|that object) (in the image|with a box|with a rectangle|in JSON format|)
! (draw|put|place|set|make) a (box|bounding box|rectangle|frame) (around|round|over) (it|that|that one)
! (give|return|output|report|print|show|compute) (its|the) (bounding box|bbox|box coordinates|coordinates|bounding rectangle|bbox_2d|pixel coordinates) (as JSON|in JSON|in pixels|)
* its (bounding box|bbox|box|coordinates|bounding rectangle|bbox_2d|box coordinates) (as JSON|in JSON format|)
* (the|a) (bounding box|bbox|box|rectangle) (of|for|around) it
What (are|would be) its (coordinates|box coordinates|bbox coordinates|pixel coordinates|bounding box coordinates)?
What is its (bounding box|bbox|box|bounding rectangle)?
(bbox|box|bounding box|coordinates|coords|its bbox|its box|its coordinates|and the bbox|and its box|bbox please|now the box|bbox in JSON)(?|)
And (its bounding box|the bounding box|its coordinates|the coordinates|its bbox|the box)?
Where is it? (Return|Give|Output|Answer with|Reply with) (a bounding box|a bbox|bbox_2d|coordinates)(.|)
""",
    "it_what": """
> what (it|that) is (exactly|called|)
! (name|identify) (it|that|that thing|the object)
= its name
What (is|was) (that|it) (exactly|called|then|)?
What (sort|kind|type) of (thing|object|item) (is|was) (it|that)?
And what (is|was) (it|that|that thing|that object) (called|)?
(What object|Which object|Which thing|What thing) is (it|that)?
""",
}
