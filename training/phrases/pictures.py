"""Rules for the questions about photographs, several pictures and clips (see `rules`)."""
# ruff: noqa: E501  (a rule is one line)

RULES = {
    "photo": """
! (describe|explain|summarise|summarize|caption|analyse|interpret) (the|this) image (in detail|in words|briefly|)
! (identify|recognise|recognize|name) (this|the) (person|man|woman|animal|dog|bird|flower|plant|place|building|landmark|city|car|object|food|dish|landscape|mountain|tree|insect)
! (name|list|count|enumerate|detect|locate) (all|all the|the) (objects|people|animals|cars|trees|persons|faces|buildings)
! (write|give) (a caption|a description|a title|an alt text|a summary) (for|of) this image
! (guess|estimate|tell me) (where|when) (this|it) was (taken|shot|photographed)
> (what|who) (is|can be seen|is visible|is shown) (in|on) (the|this) image
> what (this|it|that) is
> what the (weather|season|time of day|mood|place|landscape) is (in the image|here|)
> what (kind|sort|type) of (animal|place|building|plant|flower|car|food|landscape|scene|material|texture) (this|it) is
> how many (people|animals|cars|trees|persons|faces|houses|birds) (there are|you see|are visible) (in the image|)
> where (this|it) (is|was taken|was photographed)
? (if|whether) (there is a|you see a|the image shows a) (person|man|woman|child|animal|car|tree|house|building|bird|boat|mountain|river|beach|forest|road|sunset)
= the (weather|place|location|season|mood|name of this place|landmark|main subject|subject|scenery|landscape|species|breed)
Who is (this|that|he|she|the person|the man|the woman) (in the image|)?
(Who|What) can you see (here|in the image|in this photo|)?
What (animal|bird|flower|plant|building|place|city|country|car|food|landmark|insect|material|texture|pattern|stone|fabric) (is|do you see|could) (this|it|that|here)(?|)
What (kind|sort|type) of (animal|place|building|plant|flower|car|food|scene|landscape|surface|material|texture) (is this|is it|is shown|do you see)?
What (is|was) (the man|the woman|he|she|the person|the child|the animal|the dog) (doing|wearing|holding|looking at)?
What (is|was) the (weather|season|mood|location|subject|background|lighting|time of day|atmosphere) (like|in the image|)?
Where was (this|it|the photo|that) (taken|shot|made|photographed)?
When (was|is) (this|the photo|it) (taken|shot|made)?
Is (there|this) (a person|a man|a woman|a child|an animal|a car|a tree|a house|a building|a city|a forest|a beach|a mountain|a street|a real photo|a photograph) (in the image|)?
Are there (any people|any animals|any cars|any trees|any buildings) (in the image|here|)?
Is there (anybody|anyone|somebody|water|snow|grass) (in the image|here|)?
How many (people|animals|cars|trees|faces|buildings|birds|persons) (are there|do you see|are visible|are in the image)?
What color is the (sky|grass|car|water|wall|dress|house|hair|shirt|flower|floor|building|road|sea|sand|tree)?
What (do|can) (you|we) (see|notice|observe|recognise|make out) (here|in this image|in this photo|)?
What (is happening|is going on|happens) (here|in the image|in this photo|)?
What am I looking at(?| here?)
(Describe|Caption|Explain|Identify|Recognise)( please| this| it| pls|)
(Is it|Was it|Is this) (day or night|summer or winter|indoors or outdoors|morning or evening|sunny or cloudy)?
Do you (know|recognise) (this place|this person|who this is|where this is|what this is|this building|this animal)?
""",
    "pair_describe": """
! (describe|explain|summarise|summarize|caption) (both|the two|both of the|these two|the|each of the) images (one by one|in order|briefly|)
! (say|tell me|explain|report) what (is in|you see in|is shown in|is visible in) (both|the two|each of the) images
! go through the images one by one
> what (both|the two|these two|these|the) images (show|contain|depict|display|present)
> what (is|can be seen|is visible|you see|is shown) in (both images|the two images|each image|these images|the images)
* (a|a short|a brief) (description|caption|summary) (of|for) (both images|each image|the two images|every image)
What (do|can) you see in (both images|the two images|each image|these images|the images|each of them)?
What do (both images|the two images|these two images|the images) (show|contain|depict|display)?
What (is|can be seen|is shown|is visible|is depicted) in (each image|both images|these two images|each of them|the two of them)?
(Describe|Explain|Caption) (both|them|the two|each|each one|both of them)(.| please|)
(Both images|Description of both|Images|Two images)(?: what do they show?|: what is in them?|: describe them)
I (sent|uploaded|have|attached) two images(. What do they show?|. Describe them.|. What is in them?)
""",
    "triple_describe": """
! (describe|explain|summarise|summarize|caption) (all|all the|the three|all three|these three|each of the|the) images (one by one|in order|briefly|)
! (say|tell me|explain|report) what (is in|you see in|is shown in) (all|the three|each of the|all three) images
! go through the images one by one
> what (all|all three|the three|these three|these|the) images (show|contain|depict|display|present)
> what (is|can be seen|is visible|you see) in (all images|the three images|each image|these images|all three)
* (a|a short|a brief) (description|caption|summary) (of|for) (all images|each image|the three images|every image)
What (do|can) you see in (all images|the three images|each image|these images|the images|each of them)?
What do (all three images|the three images|these three images|the images) (show|contain|depict|display)?
What (is|can be seen|is shown|is visible) in (each image|all the images|these three images|each of them|the three of them)?
(Describe|Explain|Caption) (all|them|the three|each|each one|all three|all of them)(.| please|)
I (sent|uploaded|have|attached) three images(. What do they show?|. Describe them.|. What is in them?)
""",
    "pair_compare": """
! compare (both|the two|these two|these|the|both of the) images (with each other|side by side|to one another|)
! (name|find|spot|list|describe|explain|state|point out|tell me) the (difference|differences) (between the images|between the two|between them|between both images|)
! (contrast|set against each other) the (two images|images)
! say (how|in what way) (the two|the images|they|both images) (differ|are different)
> (how|in what way|in which way) (the two images|the images|they|both images|these images) (differ|are different|compare)
> what (distinguishes|separates|sets apart) (the two images|the images|them|the two)
> what (is|has been) (different|changed) between (the two images|the images|them|both)
= the (difference|main difference|distinction|contrast) between (the two images|the images|them|both|image 1 and image 2|the first and the second image)
* a comparison of (the two images|the images|both images|both)
(How|In what way|In which way) (do|are) (the two images|they|the images|these two images) (differ|different|compare|different from each other)?
What (distinguishes|separates|sets apart) (the two images|the images|them|image 1 from image 2|the first from the second image)?
What (is|are) the (differences|main difference|distinction|contrast) (between the two|between them|between both images|between image 1 and image 2|between the pair|)?
(Compare|Difference|Differences|Comparison|Spot the difference|Compare them|Compare both|Compare the two|Contrast them)(?|.| please|)
What is (not the same|unlike|different) (in|about) (the two|the images|both images|them)?
""",
    "pair_same": """
? (if|whether) (the two images|both images|the images|they|these two|these images) are (the same|identical|alike|equal|matching|the same thing|no different)
? (if|whether) (the two images|both images|they|the images) (show|contain|depict|have) the same (thing|object|content|motif)
? (if|whether) (image 1 and image 2|the first and the second image) are (the same|identical|alike|equal)
Are (the two images|both images|the images|they|these two|these images|image 1 and image 2) (identical|alike|equal|the same|matching|a match|copies of each other|twins)?
(Do|Would) (the two images|both|the images|they|these two images|both of them) (show|contain|depict|have|display) the same (thing|object|content|motif|item)?
(Do|Would) (the two images|the images|they|both) (match|agree|coincide|look alike|look the same)?
Is (the content|the object|the motif|what they show) (of both images|in both images|in the two images|) (identical|the same|equal)?
(Same|Identical|Equal|Alike|A match|Match|Same thing|Same object)(?| or not?| yes or no?| or different?)
(Yes or no|True or false): (both images are the same|the images are identical|both show the same thing)(.|)
Did I (send|upload) the same image twice?
Is (the second|image 2) (image|) the same as the first (one|)?
""",
    "nth": """
! (describe|explain|summarise|caption) (the {nth} image|image {n}|image number {n}|image no. {n}|the {nth} one) (only|for me|briefly|)
! (say|tell me|explain) what is in (the {nth} image|image {n}|image number {n}|the {nth} one)
! look at (the {nth} image|image {n}|image number {n}) and describe it
> what (the {nth} image|image {n}|image number {n}|the {nth} one) (shows|contains|depicts|displays|presents|is about)
> what (is|can be seen|is visible|you see|is shown) (in|on) (the {nth} image|image {n}|image number {n}|the {nth} one)
= the content of (the {nth} image|image {n}|image number {n})
* a (description|caption|summary) (of|for) (the {nth} image|image {n}|image number {n})
What (do|can) you see in (the {nth} image|image {n}|image number {n}|the {nth} one)?
What (does|would) (the {nth} image|image number {n}|the {nth} one|image no. {n}) (show|contain|depict|display|present)?
What (is|can be seen|is shown|is visible|is depicted) (in|on) (the {nth} image|image number {n}|the {nth} one|image no. {n}|the {nth} of the images)?
(The {nth} image|Image {n}|Image number {n}|Only the {nth} image|Just image {n}|The {nth} one)(: what is in it?|: what does it show?|, what do you see?|: describe it|?| please)
And (the {nth} one|image {n}|the {nth} image|what about the {nth} image|what about image {n})?
Which (object|thing) is in (the {nth} image|image {n})?
""",
    "n_images": """
! (count|tally|number) (the|all|all the|my) images (I sent|you see|)
> how many images (there are|you see|you got|you have|I sent|I uploaded|I attached|you received|you can see|were sent)
= the (number|total number|count|amount|quantity) of images (I sent|you see|)
How many images (are there|do you have|did you get|did you receive|have I uploaded|did I upload|were uploaded|were sent|can you see|did I attach|are attached|are shown|do you count)?
(Number|Count|Amount) of images(?|)
(image count|how many images|images: how many)(?| please|)
Is it one image, two or three?
""",
    "which_image": """
! (find|name|pick|choose|identify|select|tell me) the image (with|that has|that shows|that contains) {a_name}
! (say|tell me) (which|what) image (has|shows|contains) {a_name}
> (which|what) (image|one|of the images|of them) (shows|has|contains|displays|depicts|includes) {a_name}
> in which (image|one|of the images) (there is {a_name}|you see {a_name}|the {name} is|the {name} can be seen|the {name} appears|I can find {a_name})
= the image (with|of|containing|showing) {a_name}
= the number of the image (with|that shows) {a_name}
(Which|What) (image|one|of the images|of them|of these) (shows|has|contains|displays|depicts|includes|features) (the {name}|{a_name})?
In (which|what) (image|one|of the images|of these) (do you see|can I find|can I see|is there|do I find|appears) {a_name}?
In (which|what) (image|one) (does|did) the {name} (appear|occur|show up)?
(On|In) which of (the images|them|these) (is|was) the {name}?
Where (is|do you see|can I find) the {name}(, in which image?|: which image?|, first or second image?|: image number?)
{a_name}(: which image?|: in which image?|, which image?|: image number?)
Does {a_name} appear in the first or (in|) the second image?
Who of the images has {a_name}?
""",
    "video_describe": """
! (describe|explain|summarise|summarize|caption|narrate|sum up|retell|interpret) (the|this) video (in detail|briefly|in words|for me|from start to end|)
! (describe|explain|summarise|report|narrate|tell me|say) what (happens|is happening|goes on|is going on|takes place|occurs) (in the video|here|over time|)
! (give|write) (a|a short|a brief|a detailed) (description|summary|caption|account) of (the|this) video
! (walk|talk) me through the video
! (watch|look at|view) (the|this) video and (describe|explain) (it|what happens)
> what (happens|is happening|is going on|goes on|takes place|occurs|can be seen) (in the video|in this video|here|during the video|over time|)
> what (the|this) video (shows|is about|depicts|displays|contains)
> what the (objects|things) in the video do
= the (action|event|story|course of events) (in|of) (the|this) video
* (a|a short|a brief|a detailed) (description|summary|caption) (of|for) (the|this) video
What (happens|is happening|is going on|goes on|takes place|occurs|do you see happening) (in the video|in this video|here|during the video|from start to end|in these frames|)?
What (does|would) (the|this) video (show|depict|display|tell)?
What (do|can) (you|we) (see|observe|notice) (happening|) (in the video|in this video|over time)?
(Describe|Summary|Summarise|Explain|Description|Video description|Caption|Video summary)(?| please| pls|)
What (is|was) (the video|this video) (about|showing)?
I (can't|cannot) watch the video(. What happens?|. Describe it.|, what happens in it?)
What is (the action|the event|going on|the story) (in the video|)?
""",
    "motion": """
! (describe|explain|state|name|tell me|report|give) (the (movement|motion|direction|path|course|direction of movement) of the {name}|how the {name} moves|where the {name} goes)
! (track|follow|trace|watch) the {name} (and tell me the direction|and say where it goes|and tell me which way it moves)
> (which|what) (way|direction) the {name} (moves|goes|travels|is moving|is going|is heading|drifts|takes|heads)
> (in|into|to) which direction the {name} (moves|goes|travels|is moving|is going|drifts|slides|flies|heads)
> (where|how) the {name} (moves|is moving|travels|goes|is heading|drifts)
> to which side the {name} (moves|goes|travels|is going)
? (if|whether) the {name} (moves left or right|moves up or down|moves at all|is moving|stays where it is|stands still)
= the (direction|motion|movement|direction of movement|moving direction|direction of travel|path|course|heading) of the {name}
(Which|What) (way|direction) (does|did) the {name} (move|go|travel|take|head)?
(Which|What) way is the {name} (moving|going|heading|drifting)?
(In|Into|To) (which|what) direction (does|did) the {name} (move|go|travel|head|fly|drift|slide|shift)?
(To|Towards) which side (does|did) the {name} (move|go|travel|head|drift)?
Where (does|did) the {name} (move|go to|head|travel|wander)?
Where is the {name} (going|heading|moving|drifting)?
How (does|did) the {name} (move|travel|behave)?
Is the {name} moving (to the left or to the right|left, right, up or down|up or down|left or right|or not)?
(Direction|Motion|Movement|Heading|Course) of (the|) {name}(?|)
{name}(: which way?|, which way?|: direction?| direction| movement?|: where to?| moves where?|: left or right?)
Does the {name} (stay where it is|stand still|go anywhere|change its place)?
""",
    "change": """
! (name|describe|find|tell me|state|explain|spot|report|identify) (the (change|changes|difference|transformation) (in the video|over time|)|what (changes|has changed|is different at the end|is new at the end))
! compare the (first|beginning) and the (last|end) of the video
! compare the (first frame and the last frame|first and last frame|start and the end)
> what (changes|has changed|is changing|gets changed|becomes different|is altered|is different later) (in the video|over time|during the video|at the end|)
> (how|in what way) the (video|scene|image) (changes|has changed|is altered)
> what is (different|new|not the same|changed) (at the end|in the last frame|later|after a while)
= the (change|difference|transformation) (in the video|over time|between start and end|between the first and last frame|from beginning to end|)
What (changes|has changed|is changing|changed|becomes different|gets altered|is altered) (in the video|over time|at the end|during the video|between the frames|from start to end|)?
What is (different|new|changed|not the same) (at the end|in the last frame|later on|compared with the start|after the start|in the end)?
(How|In what way) (does|did) (the scene|the object|it|the video) change (over time|in the end|during the video|)?
(Change|Changes|Difference|What changed|What's new|What's changed|Any change|Any changes)(?| please| in the video?|)
(Does|Did) (anything|something) (change|happen to the object|become different)(?| in the video?| over time?)
What (turns|becomes|gets) different (in the video|over time|)?
""",
    "video_object": """
! (name|identify|list|tell me|recognise|state) (the|all) (object|objects|things) (in|of) the video
> (which|what) (object|thing) (is|appears|can be seen) in the video
> (which|what) (object|thing) (you see|you can see|there is) in the video
> what is in the (video|clip)
= the object (in|of) the video
= the name of the object in the video
(Which|What) (object|thing) (is|appears|can be seen|do you see|can you see|occurs) in the (video|clip)?
What (is|can be found|appears) in the (video|clip|frames)?
(Which|What) (object|thing) (appears|is shown|can be seen|do you see) (here|in the frames|in this clip|)?
(Object|Objects|Object in the video|Things in the video|Video object)(?| please|)
What (kind|sort|type) of (object|thing) (is|do you see) in the video?
Who or what is in the video?
""",
}
