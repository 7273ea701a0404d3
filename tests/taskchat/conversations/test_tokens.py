"""The estimate of tokens beside OpenAI's own vocabulary."""

import json

import bpe_openai
import pytest

from taskchat.conversations.tokens import estimate_tokens

TASKS = [
    {"id": number, "title": title, "priority": "normal", "due_at": "2026-11-25T23:59:59+01:00", "completed": False}
    for number, title in enumerate(["Buy milk", "Renew the passport", "Call the landlord", "Book a table"] * 5, 1017)
]
SAMPLES = {
    "English": (
        "Could you please add a task to buy groceries tomorrow afternoon, and remind me that the dentist appointment "
        "moved to next Thursday? I've added 'Buy groceries' with high priority. You now have seven pending tasks, and "
        "two of them are overdue: 'Renew passport' and 'Call the landlord about the leaking tap'. Delete all completed "
        "tasks older than a month, but keep the ones that belong to the house."
    ),
    "German": (
        "Kannst du bitte eine Aufgabe anlegen, dass ich morgen Nachmittag Lebensmittel einkaufen muss, und mich daran "
        "erinnern, dass der Zahnarzttermin auf Donnerstag verschoben wurde? Ich habe die Aufgabe „Steuererklärung "
        "abgeben“ mit hoher Priorität angelegt. Zwei davon sind überfällig: „Reisepass verlängern“ und „Vermieter "
        "anrufen“. Die Krankenversicherungsbescheinigung liegt in der Schublade neben der Geschirrspülmaschine."
    ),
    "Russian": (
        "Добавь, пожалуйста, задачу купить продукты завтра днём и напомни, что приём у стоматолога перенесли на "
        "следующий четверг. Я добавил задачу «Подать налоговую декларацию» с высоким приоритетом. Сейчас у тебя семь "
        "незавершённых задач, две из них просрочены. Удали все выполненные задачи старше месяца."
    ),
    "Ukrainian": (
        "Додай, будь ласка, завдання купити продукти завтра вдень і нагадай, що прийом у стоматолога перенесли на "
        "наступний четвер. Зараз у тебе сім незавершених завдань, два з них прострочені. Познач друге як виконане."
    ),
    "Chinese": (
        "请帮我添加一个任务：明天下午去买菜，并提醒我牙医预约改到了下周四三点半。我已经添加了“提交税务申报表”，优先级为高，"
        "截止日期是星期五。你现在有七个未完成的任务，其中两个已经过期。季度预算审查需要一份完整的差旅费用汇总，"
        "请把它分成小步骤，这样我每天早上可以完成一个。"
    ),
    "emoji": "😀😂🥳👍🏽❤️🎉🛒🥛🍞📅⏰📞✅🙏✨🏠🚗✈️📚💻🐶🍎☕💊🏃🎂🌧️🤔💪🏻👀",
    "English with emoji": (
        "Buy milk 🥛 and bread 🍞 today! 😀 The report is done ✅, thanks 🙏. Party on Friday 🎉 and a cake 🎂 for Tom."
    ),
    "JSON": json.dumps({"tasks": TASKS, "count": 20, "more": False}, ensure_ascii=False, separators=(",", ":")),
    "French": "Peux-tu ajouter une tâche pour faire les courses demain et me rappeler que le rendez-vous est déplacé ?",
    "Polish": "Czy możesz dodać zadanie, żeby jutro zrobić zakupy, i przypomnieć mi, że wizyta została przełożona?",
    "Japanese": "明日の午後に買い物のタスクを追加して、歯医者の予約が来週の木曜日に変わったことを伝えてください。",
}

RARE_SAMPLES = {
    "Hindi": "कृपया कल दोपहर सब्ज़ी ख़रीदने का काम जोड़ो और याद दिलाओ कि दंत चिकित्सक का समय अगले गुरुवार को है।",
    "Serbian": "Молим те, додај задатак да сутра купим намирнице. Љиљана ће доћи касније са њеном ћерком.",
    "Greek": "Πρόσθεσε, σε παρακαλώ, μια εργασία για να αγοράσω τρόφιμα αύριο και θύμισέ μου το ραντεβού.",
    "Korean": "내일 오후에 장보기 할 일을 추가하고 치과 예약이 다음 주 목요일로 바뀌었다고 알려 주세요.",
    "Thai": "ช่วยเพิ่มงานไปซื้อของพรุ่งนี้ตอนบ่าย และเตือนฉันว่านัดหมอฟันเลื่อนไปวันพฤหัสหน้า",
    "Arabic": "من فضلك أضف مهمة لشراء البقالة غدا بعد الظهر وذكرني بأن موعد طبيب الأسنان تغير إلى يوم الخميس",
    "symbols": "→ ← ↑ ↓ ✓ ✗ ☐ ☑ ⚠ ★ ☆ ● ○ ■ □ ▶ ➜ ⌘ ⏰ ☎",
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_estimate_is_right_within_15_percent(kind: str) -> None:
    encoding = bpe_openai.get_encoding("o200k_base")
    true = len(encoding.encode(SAMPLES[kind]))
    assert 0.98 <= estimate_tokens(SAMPLES[kind]) / true <= 1.15


@pytest.mark.parametrize("kind", RARE_SAMPLES)
def test_the_estimate_is_near_in_other_scripts(kind: str) -> None:
    encoding = bpe_openai.get_encoding("o200k_base")
    true = len(encoding.encode(RARE_SAMPLES[kind]))
    assert 0.85 <= estimate_tokens(RARE_SAMPLES[kind]) / true <= 1.2


def test_nothing_takes_no_tokens() -> None:
    assert estimate_tokens("") == 0


def test_an_estimate_grows_with_the_text() -> None:
    text = " ".join(SAMPLES.values())
    estimates = [estimate_tokens(text[:length]) for length in range(0, len(text), 50)]
    assert estimates == sorted(estimates)
