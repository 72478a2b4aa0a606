"""Nova's own mail: its layout, and its words in several languages."""

from collections.abc import Mapping

UNSUBSCRIBE: Mapping[str, str] = {
    "en": "Unsubscribe from mail like this",
    "de": "Solche Mails abbestellen",
    "fr": "Ne plus recevoir ce type d\u2019e-mail",
    "es": "No recibir más correos como este",
    "ar": "إلغاء الاشتراك في مثل هذه الرسائل",
    "fa": "لغو دریافت چنین ایمیل‌هایی",
    "he": "הסרה מרשימת הודעות כאלה",
    "it": "Non ricevere più e-mail come questa",
    "ja": "このようなメールの配信を停止する",
    "ko": "이런 메일 수신 거부",
    "nl": "Afmelden voor dit soort mail",
    "pl": "Wypisz się z takich wiadomości",
    "pt": "Não receber mais e-mails como este",
    "ru": "Отписаться от таких писем",
    "tr": "Bu tür e-postaların aboneliğinden çık",  # noqa: RUF001  # Turkish
    "uk": "Відписатися від таких листів",
    "zh": "退订此类邮件",
    "zh-hant": "取消訂閱這類郵件",
}
OPEN: Mapping[str, str] = {
    "en": "Open",
    "de": "Öffnen",
    "fr": "Ouvrir",
    "es": "Abrir",
    "ar": "فتح",
    "fa": "باز کردن",
    "he": "פתיחה",
    "it": "Apri",
    "ja": "開く",
    "ko": "열기",
    "nl": "Openen",
    "pl": "Otwórz",
    "pt": "Abrir",
    "ru": "Открыть",
    "tr": "Aç",
    "uk": "Відкрити",
    "zh": "打开",
    "zh-hant": "開啟",
}

HTML = """\
{preheader}
<table role="presentation" class="nova-background" width="100%" cellpadding="0" cellspacing="0" \
bgcolor="{color.background}" style="background-color:{color.background}"><tr>
<td align="center" style="padding:24px 12px">
<table role="presentation" class="nova-surface" width="100%" cellpadding="0" cellspacing="0" \
bgcolor="{color.surface}" style="max-width:600px;background-color:{color.surface};\
border-radius:8px"><tr>
<td class="nova-text" align="{align}" style="padding:32px;color:{color.text};font-family:\
system-ui,Helvetica,Arial,sans-serif;font-size:16px;\
line-height:1.5;overflow-wrap:anywhere">
{logo}{heading}{body}{button}
</td></tr></table>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px">
<tr><td class="nova-muted" align="{align}" style="padding:16px 32px;color:{color.muted};\
font-family:system-ui,Helvetica,Arial,sans-serif;\
font-size:13px;line-height:1.5">
{footer}{unsubscribe}
</td></tr></table>
</td></tr></table>
"""
"""The layout where the app has no HTML of its own; tables, as some programs know little else."""
