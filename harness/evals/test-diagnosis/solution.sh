echo src/leap.js:isLeap > answer.txt
