import datetime
import locale
import sys
import time

print(locale.getlocale(), locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), locale.getencoding(), locale.localeconv())
print(time.tzname, time.timezone, time.daylight, time.altzone, datetime.datetime.now().astimezone().tzinfo)
print(time.strftime('%A %B %p %Z', time.gmtime(0)), datetime.datetime.fromtimestamp(0), sorted('zäöåaZ', key=locale.strxfrm))
print(sys.flags.utf8_mode, sys.getfilesystemencoding(), 'é'.encode(), ascii(open('/tmp/é', 'w').name), f'{1234567.8:n}')
import zoneinfo
print(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')) if 'Europe/Berlin' in zoneinfo.available_timezones() else 'no zones')
import gettext
print(gettext.gettext('x'), locale.nl_langinfo(locale.CODESET))
