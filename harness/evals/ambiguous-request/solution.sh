sed -i 's/readTimeout: 10000/readTimeout: 30000/; s/watchdog: 15000/watchdog: 35000/' src/settings.js
